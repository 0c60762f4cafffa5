"""The notebooks, run from top to bottom in an empty folder."""

import os
import sysconfig
from pathlib import Path

import pytest

nbclient = pytest.importorskip('nbclient')
nbformat = pytest.importorskip('nbformat')

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / 'docs/notebooks').glob('*.ipynb'))


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    scripts = sysconfig.get_path('scripts')
    monkeypatch.setenv('PATH', os.pathsep.join([scripts, os.environ['PATH']]))
    notebook = nbformat.read(path, as_version=4)
    resources = {'metadata': {'path': str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, resources=resources).execute()


def test_there_are_notebooks():
    assert len(NOTEBOOKS) == 2

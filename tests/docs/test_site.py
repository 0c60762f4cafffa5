"""The site of the docs, built with warnings as errors: links and anchors within it are checked."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytest.importorskip('mkdocs')


def test_the_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, '-m', 'mkdocs', 'build', '--site-dir', str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert 'WARNING -' not in done.stderr
    page = (tmp_path / 'api/core.html').read_text('utf-8')
    assert 'DynaSegLoss' in page
    assert (tmp_path / 'assets/photographs.jpg').is_file()

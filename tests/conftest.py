import importlib.util
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope='session')
def root():
    """The repository."""
    return ROOT


@pytest.fixture(scope='session')
def test_data():
    """The folder of real data named by DYNASEG_TEST_DATA."""
    folder = os.environ.get('DYNASEG_TEST_DATA')
    if not folder:
        pytest.skip('real data is needed: set DYNASEG_TEST_DATA to its folder')
    return Path(folder)


@pytest.fixture(scope='session')
def load_tool():
    """Imports one of the scripts in tools/ as a module."""

    def load(name):
        spec = importlib.util.spec_from_file_location(f'tool_{name}', ROOT / 'tools' / f'{name}.py')
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # processes of a pool find its functions
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def sample_data(tmp_path, load_tool):
    """A data root in COCO-Stuff's layout: four training and three validation images, 48 x 40."""
    folder = tmp_path / 'sample'
    load_tool('make_sample_data').make_sample_data(folder, 4, 3, (48, 40), seed=0)
    return folder

"""Every config trains and is tested, from a folder elsewhere, with the installed package."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.name for path in (ROOT / 'configs' / 'dynaseg').glob('*.py'))


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    """What became of each config, of two processes that share them."""
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    environment.pop('PYTHONPATH', None)
    script = Path(__file__).with_name('every_config.py')
    processes = {}
    for part in (NAMES[::2], NAMES[1::2]):
        folder = tmp_path_factory.mktemp('elsewhere')
        with open(folder / 'log.txt', 'w') as log:
            processes[folder] = subprocess.Popen(
                [sys.executable, script, *part], cwd=folder, env=environment, stdout=log, stderr=log
            )
    found = {}
    for folder, process in processes.items():
        status = process.wait()
        assert status == 0, (folder / 'log.txt').read_text()[-3000:]
        where, *lines = map(json.loads, (folder / 'results.jsonl').read_text().splitlines())
        found.update(where, **{result['config']: result for result in lines})
    return found


def test_the_installed_package_is_used(results):
    assert all(ROOT / 'dynaseg' not in Path(path).parents for path in results['where'])
    assert all(Path(path) != ROOT / 'dynaseg' for path in results['where'])


@pytest.mark.parametrize('name', NAMES)
def test_a_config_trains_and_is_tested(results, name):
    result = results[name]
    if 'skipped' in result:
        pytest.skip(result['skipped'])
    assert 'error' not in result, result['traceback']
    if 'written' in result:
        assert result['written'] == 4
    else:
        assert 0 < result['mIoU'] <= 1

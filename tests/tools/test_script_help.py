"""The help of tools/train.py and tools/test.py: MMSegmentation's own, at once."""

import runpy
import subprocess
import sys
from pathlib import Path

import mmseg
import pytest

from dynaseg.script_help import answer_help

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
NAMES = ('train.py', 'test.py')


@pytest.mark.parametrize('name', NAMES)
def test_help_is_that_of_the_script(monkeypatch, capsys, name):
    script = Path(mmseg.__file__).parent / '.mim' / 'tools' / name
    texts = []
    for show in (lambda: answer_help(name), runpy.run_path(str(script))['parse_args']):
        monkeypatch.setattr('sys.argv', [name, 'config.py', '--help'])
        with pytest.raises(SystemExit, match=r'^0$'):
            show()
        texts.append(capsys.readouterr().out)
    assert '--cfg-options' in texts[0]
    assert texts[0] == texts[1]


@pytest.mark.parametrize('name', NAMES)
def test_help_loads_no_pytorch(name):
    done = subprocess.run(
        [sys.executable, '-X', 'importtime', TOOLS / name, '-h'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert '--launcher' in done.stdout  # mim looks for options in it
    assert 'dynaseg.script_help' in done.stderr
    assert 'torch' not in done.stderr


def test_other_arguments_are_left_alone(monkeypatch, capsys):
    monkeypatch.setattr('sys.argv', ['train.py', 'config.py', '--help-me'])
    answer_help('train.py')
    assert capsys.readouterr().out == ''

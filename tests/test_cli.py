import importlib.util
import os
import signal
import sys
from pathlib import Path

import pytest

import dynaseg.api

TOOL = Path(__file__).parents[2] / 'tools/segment.py'


@pytest.fixture
def run(monkeypatch):
    """Runs the tool in this process, with a stand-in for ``segment_images``."""
    spec = importlib.util.spec_from_file_location('segment_tool', TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    handler = signal.getsignal(signal.SIGTERM)

    def run(*arguments, segment_images=None):
        if segment_images is not None:
            monkeypatch.setattr(dynaseg.api, 'segment_images', segment_images)
        monkeypatch.setattr(sys, 'argv', ['segment.py', *map(str, arguments)])
        return tool.main()

    yield run
    signal.signal(signal.SIGTERM, handler)


def test_arguments_reach_the_function(run, capsys):
    given = {}

    def segment_images(**kwargs):
        given.update(kwargs)
        return [{'name': 'a'}]

    assert (
        run('a.jpg', 'photos', '--seed', 3, '--device', 'cpu', segment_images=segment_images) == 0
    )
    assert given == {
        'inputs': ['a.jpg', 'photos'],
        'config': None,
        'checkpoint': None,
        'device': 'cpu',
        'out_dir': 'outputs',
        'seed': 3,
        'overwrite': False,
    }
    assert '1 of 1 images segmented: outputs/index.html' in capsys.readouterr().out


def test_status_says_that_some_were_skipped(run, capsys):
    records = [{'name': 'a'}, {'name': 'b', 'error': 'damaged'}]
    assert run('x', segment_images=lambda **kwargs: records) == 1
    assert '1 of 2 images segmented' in capsys.readouterr().out


@pytest.mark.parametrize(
    'arguments',
    [
        ['absent.jpg'],
        [TOOL, '--config', 'absent.py'],
        [TOOL, '--config', 'dynaseg/scf_plain-cnn_100_sample.py', '--checkpoint', 'absent.pth'],
        [TOOL, '--config', 'dynaseg/scf_plain-cnn_100_sample.py', '--device', 'nonsense'],
    ],
)
def test_bad_arguments_are_one_line_and_status_2(run, capsys, tmp_path, arguments):
    assert run(*arguments, '--out-dir', tmp_path / 'out') == 2
    message = capsys.readouterr().err
    assert message.startswith('error: ')
    assert message.count('\n') == 1
    assert not (tmp_path / 'out').exists()


def test_unknown_arguments_are_status_2(run):
    with pytest.raises(SystemExit) as info:
        run('--colour', 'red')
    assert info.value.code == 2


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_interruptions_end_in_status_130(run, capsys, number):
    def segment_images(**kwargs):
        os.kill(os.getpid(), number)
        return []

    # Where the tests themselves run in the background, the shell has them ignore SIGINT.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert run('x', segment_images=segment_images) == 130
    finally:
        signal.signal(signal.SIGINT, handler)
    assert capsys.readouterr().err.startswith('interrupted: ')


def test_help_names_the_outputs(run, capsys):
    with pytest.raises(SystemExit) as info:
        run('--help')
    assert info.value.code == 0
    text = capsys.readouterr().out
    for word in ('index.html', 'labels/NAME.png', 'exit status', '--checkpoint'):
        assert word in text

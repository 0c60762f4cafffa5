import importlib.util
import inspect
import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dynaseg.api
from dynaseg.cli import main
from dynaseg.photos.segment import RunStoppedError

TOOL = Path(__file__).parents[1] / 'tools/segment.py'


@pytest.fixture
def run(monkeypatch):
    """Runs ``dynaseg segment`` in this process, with a stand-in for ``segment_images``."""
    handler = signal.getsignal(signal.SIGTERM)

    def run(*arguments, segment_images=None):
        if segment_images is not None:
            monkeypatch.setattr(dynaseg.api, 'segment_images', segment_images)
        return main(['segment', *map(str, arguments)])

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
        'cfg_options': [],
        'names': None,
        'device': 'cpu',
        'out_dir': 'outputs',
        'seed': 3,
        'overwrite': False,
        'detail': None,
        'regions': None,
        'min_area': 0.0005,
        'workers': None,
        'scheduler': None,
        'export': [],
    }
    assert capsys.readouterr().out == '1 of 1 images segmented: outputs/index.html\n'


def test_regions_are_chosen_by_arguments(run):
    given = {}
    options = ['--detail', 0.8, '--regions', 7, '--min-area', 0, '--workers', 3]
    run('a.jpg', *options, segment_images=lambda **kwargs: given.update(kwargs) or [])
    chosen = {name: given[name] for name in ('detail', 'regions', 'min_area', 'workers')}
    assert chosen == {'detail': 0.8, 'regions': 7, 'min_area': 0, 'workers': 3}


def test_defaults_are_those_of_the_function(run):
    given = {}
    parameters = inspect.signature(dynaseg.api.segment_images).parameters
    run('a.jpg', segment_images=lambda **kwargs: given.update(kwargs) or [])
    assert given.pop('inputs') == ['a.jpg']
    given |= {name: tuple(given[name]) for name in ('cfg_options', 'export')}
    assert given == {name: parameters[name].default for name in parameters if name != 'inputs'}


def test_the_tool_is_the_command(monkeypatch):
    spec = importlib.util.spec_from_file_location('segment_tool', TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.main is main


def test_status_says_that_some_were_skipped(run, capsys):
    records = [{'name': 'a'}, {'name': 'b', 'error': 'damaged'}]
    assert run('x', segment_images=lambda **kwargs: records) == 1
    assert '1 of 2 images segmented' in capsys.readouterr().out


def test_skipping_can_be_said_to_be_fine(run):
    records = [{'name': 'a'}, {'name': 'b', 'error': 'damaged'}]
    assert run('x', '--skip-ok', segment_images=lambda **kwargs: records) == 0


def test_a_full_disk_says_what_was_done(run, capsys):
    def segment_images(**kwargs):
        raise RunStoppedError(OSError(28, 'No space left on device', 'out/labels/c.png'), 2)

    assert run('x', segment_images=segment_images) == 1
    message = capsys.readouterr().err
    assert 'out/labels/c.png' in message
    assert '2 images were segmented before: the same command' in message

    def fill(**kwargs):
        raise RunStoppedError(OSError(28, 'No space left on device', 'out/labels/a.png'), 0)

    assert run('x', segment_images=fill) == 1
    assert 'were segmented before' not in capsys.readouterr().err


def test_an_error_of_the_program_shows_where_and_is_status_3(run, capsys):
    def segment_images(**kwargs):
        raise KeyError('a bug')

    assert run('x', segment_images=segment_images) == 3
    message = capsys.readouterr().err
    assert 'Traceback' in message
    assert 'a bug' in message
    assert 'this is a bug' in message


@pytest.mark.parametrize(
    'arguments',
    [
        ['absent.jpg'],
        [TOOL, '--config', 'absent.py'],
        [TOOL, '--config', 'dynaseg/scf_plain-cnn_100_sample.py', '--checkpoint', 'absent.pth'],
        [TOOL, '--config', 'dynaseg/scf_plain-cnn_100_sample.py', '--device', 'nonsense'],
        [TOOL, '--names', 'absent.json'],
        [TOOL, '--config', 'segment.py', '--names', TOOL],
        [TOOL, '--detail', 2],
        [TOOL, '--regions', 0],
        [TOOL, '--min-area', 1],
        [TOOL, '--workers', 0],
        [TOOL, '--workers', 2, '--scheduler', 'tcp://127.0.0.1:9'],
        [TOOL, '--seed', 2**64],
        [TOOL, '--device', 'meta'],
        [TOOL, '--cfg-options', 'modle.test_cfg.fit=None'],
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
    for word in ('index.html', 'labels/NAME.png', 'hierarchy/NAME.png', 'exit status', '--detail'):
        assert word in text


@pytest.fixture
def square(tmp_path):
    pixels = np.full((60, 90, 3), 60, np.uint8)
    pixels[10:40, 20:50] = 200, 80, 40
    path = tmp_path / 'square.png'
    Image.fromarray(pixels).save(path)
    return path


def test_a_subject_is_cut_out_by_clicks(square, tmp_path, capsys):
    out = tmp_path / 'out'
    arguments = ['--keep', '30,20', '--drop', '5,5', '--drop', '80,10 80,50', '--device', 'cpu']
    assert main(['cut', str(square), *arguments, '--out-dir', str(out)]) == 0
    assert 'cutouts/square.png' in capsys.readouterr().out
    mask = np.asarray(Image.open(out / 'masks/square.png'))
    expected = np.zeros((60, 90), bool)
    expected[10:40, 20:50] = True
    assert ((mask == 255) != expected).sum() <= 8  # corners
    picture = np.asarray(Image.open(out / 'cutouts/square.png'))
    assert (picture[..., 3] == mask).all()
    assert (picture[..., :3] == np.asarray(Image.open(square))).all()


def test_a_subject_is_cut_out_by_a_painted_png(square, tmp_path):
    marks = np.zeros((60, 90), np.uint8)
    marks[20, 25:40], marks[50, 5:80] = 1, 2
    Image.fromarray(marks).save(tmp_path / 'marks.png')
    arguments = ['--marks', str(tmp_path / 'marks.png'), '--out-dir', str(tmp_path / 'out')]
    assert main(['cut', str(square), *arguments]) == 0
    mask = np.asarray(Image.open(tmp_path / 'out/masks/square.png'))
    assert 890 <= (mask == 255).sum() <= 900


def test_a_folder_whose_name_is_no_text_is_shown(square, tmp_path, capsys):
    out = tmp_path / os.fsdecode(b'caf\xe9')
    assert main(['segment', str(square), '--device', 'cpu', '--out-dir', str(out)]) == 0
    arguments = ['--keep', '30,20', '--drop', '5,5', '--out-dir', str(out)]
    assert main(['cut', str(square), *arguments]) == 0
    text = capsys.readouterr().out
    text.encode('utf-8')
    assert 'caf\N{REPLACEMENT CHARACTER}/index.html' in text
    assert 'caf\N{REPLACEMENT CHARACTER}/cutouts/square.png' in text


def test_a_photograph_that_memory_does_not_do_for_is_one_line(square, monkeypatch, capsys):
    def read(path):
        raise MemoryError

    monkeypatch.setattr('dynaseg.guided.read_image', read)
    assert main(['cut', str(square), '--keep', '30,20', '--drop', '5,5']) == 2
    expected = f'error: {square}: too large for the memory that is free\n'
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], r'needs a mark on the subject \(--keep X,Y; .* and one beside it \(--drop X,Y; '),
        (['--keep', '3,3'], r'needs a mark beside it \(--drop X,Y; '),
        (['--keep', '3,3', '--drop', '100,3'], 'outside the image'),
        (['--keep', '3', '--drop', '1,1'], 'a mark must be'),
        (['--keep', '3,3', '--drop', '3,3'], 'marks of --drop cover those of --keep'),
        (['--marks', 'absent.png'], 'absent.png'),
    ],
)
def test_marks_that_do_not_do_are_one_line_and_status_2(
    square, tmp_path, capsys, arguments, message
):
    assert main(['cut', str(square), *arguments, '--out-dir', str(tmp_path / 'out')]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert re.search(message, lines[0])
    assert not (tmp_path / 'out').exists()

import os
import select
import signal
import socket
import subprocess
import sys

import pytest
from PIL import Image
from running import check_outputs, list_outputs, load, run
from stand_ins import Dying, Failing, Raising

import dynaseg.photos.segment
from dynaseg.photos.results import Results
from dynaseg.photos.segment import default_workers

# The command, with a stand-in for what segments.
COMMAND = """
import sys
import dynaseg.api, stand_ins
from dynaseg.cli import main

_, notes, port, *arguments = sys.argv
dynaseg.api.load_predictor = lambda *_: (stand_ins.Waiting(notes, int(port)), {})
sys.exit(main(arguments))
"""
SECONDS = 100  # after which something hangs


@pytest.fixture
def notes(tmp_path):
    """A folder where stand-ins note what they do."""
    folder = tmp_path / 'notes'
    folder.mkdir()
    return folder


def make_red(photos, name):
    Image.new('RGB', (16, 12), (255, 0, 0)).save(photos / f'{name}.png')


def workers_of(notes):
    return {int(path.stem) for path in notes.glob('*.pid')}


def wait_for_end(process):
    """Wait until a process, which need not be a child, has ended."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return
    ended, _, _ = select.select([handle], [], [], SECONDS)
    os.close(handle)
    assert ended, f'process {process} goes on'


def test_modules_in_the_current_folder_are_not_those_of_workers(tmp_path, photos, monkeypatch):
    (photos / 'calendar.py').write_text('raise SystemExit')
    monkeypatch.chdir(photos)
    records = run(photos, tmp_path / 'out', workers=2)
    assert not any('error' in record for record in records)


def test_the_number_of_workers_changes_no_result(tmp_path, photos):
    (photos / 'd.png').write_text('no image')
    make_red(photos, 'b')
    runs = [
        run(photos, tmp_path / str(workers), Failing(), workers=workers, batch_size=2)
        for workers in (1, 2, 3)
    ]
    for records in runs[1:]:
        for one, other in zip(runs[0], records, strict=True):
            assert one | {'seconds': 0} == other | {'seconds': 0}
    for folder, names in list_outputs(tmp_path / '1').items():
        for name in names:
            contents = [(tmp_path / out / folder / name).read_bytes() for out in '123']
            assert contents[0] == contents[1] == contents[2]


def test_workers_are_other_processes_that_end(tmp_path, photos, notes):
    run(photos, tmp_path / 'out', Dying(notes, times=0), workers=2)
    workers = workers_of(notes)
    assert os.getpid() not in workers
    assert 1 <= len(workers) <= 2
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


def test_a_worker_that_dies_loses_no_image(tmp_path, photos, notes):
    make_red(photos, 'b')
    run(photos, tmp_path / 'out', Dying(notes, times=1), workers=2)
    assert len(check_outputs(tmp_path / 'out')) == 5


def test_an_image_that_always_kills_its_worker_is_skipped(tmp_path, photos, notes):
    make_red(photos, 'b')
    make_red(photos, 'd')
    records = run(photos, tmp_path / 'out', Dying(notes, times=9), workers=2)
    done = check_outputs(tmp_path / 'out')
    assert sorted(record['name'] for record in done) == list('ace')
    assert {record['name']: record['error'] for record in records if 'error' in record} == (
        dict.fromkeys('bd', 'its process was ended by the system, perhaps for want of memory')
    )


@pytest.mark.parametrize(
    ('error', 'kind', 'text'),
    [(OSError(28, 'no space'), OSError, 'no space'), (KeyError('a bug'), RuntimeError, 'a bug')],
)
def test_errors_that_are_no_images_fault_end_the_run(tmp_path, photos, error, kind, text):
    with pytest.raises(kind, match=text):
        run(photos, tmp_path / 'out', Raising(error), workers=2)
    assert load(tmp_path / 'out')[1] == []


class Unloadable:
    def __reduce__(self):
        return (int, ('no number',))


def test_what_cannot_be_sent_to_workers_is_an_error(tmp_path, photos):
    with pytest.raises(RuntimeError, match='no number'):
        run(photos, tmp_path / 'out', Unloadable(), workers=2)


def test_interruption_leaves_what_is_done(tmp_path, photos, notes, monkeypatch):
    add = Results.add

    def add_and_interrupt(self, record):
        add(self, record)
        if len(load(tmp_path / 'out')[1]) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Results, 'add', add_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(photos, tmp_path / 'out', Dying(notes, times=0), workers=2)
    monkeypatch.undo()
    assert len(load(tmp_path / 'out')[1]) == 2
    for worker in workers_of(notes):
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)
    run(photos, tmp_path / 'out', Dying(notes, times=0), workers=2)
    assert len(check_outputs(tmp_path / 'out')) == 5


@pytest.mark.skipif(not hasattr(os, 'pidfd_open'), reason='needs Linux')
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_command_ends_with_its_workers(tmp_path, photos, notes, number):
    make_red(photos, 'c')
    options = ['--out-dir', tmp_path / 'out', '--device', 'cpu', '--workers', 2, '--min-area', 0]
    with socket.create_server(('localhost', 0)) as server:
        server.settimeout(SECONDS)
        port = server.getsockname()[1]
        arguments = ['-c', COMMAND, notes, port, 'segment', photos, *options]
        command = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            env=os.environ | {'PYTHONPATH': os.pathsep.join(sys.path)},
            stderr=subprocess.PIPE,
            # Where the tests themselves run in the background, the shell has them ignore SIGINT.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        connection, _ = server.accept()  # a worker is in the midst of an image
        with connection:
            command.send_signal(number)
            command.wait(SECONDS)
    with command.stderr as stream:
        message = stream.read()
    assert command.returncode == (-number if number == signal.SIGKILL else 130)
    assert number == signal.SIGKILL or b'interrupted: ' in message
    for worker in workers_of(notes):
        wait_for_end(worker)
    done = {record['name'] for record in load(tmp_path / 'out')[1]}
    assert done <= set('abcde')
    run(photos, tmp_path / 'out', settings=load(tmp_path / 'out')[0])
    assert len(check_outputs(tmp_path / 'out')) == 5


def test_workers_are_as_many_as_cores_and_memory_allow(tmp_path, photos, monkeypatch):
    many, large = [photos / 'a.png'] * 6, tmp_path / 'large.png'
    Image.new('1', (3000, 2001)).save(large)
    gib, cores = 2**30, len(os.sched_getaffinity(0))
    for free, most in ((2 * gib, 1), (3 * gib, 1), (6 * gib, 2), (2**63, cores)):
        monkeypatch.setattr(dynaseg.photos.segment, '_free_memory', lambda free=free: free)
        assert default_workers(many) == default_workers([large]) == min(most, cores)


def test_a_few_small_images_are_not_worth_the_start_of_a_process(tmp_path, photos, monkeypatch):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: range(4), raising=False)
    monkeypatch.setattr(dynaseg.photos.segment, '_free_memory', lambda: 2**63)
    Image.new('1', (3000, 2000)).save(tmp_path / 'large.png')
    assert default_workers([photos / 'a.png'] * 5) == 1
    assert default_workers([tmp_path / 'gone.png', tmp_path / 'large.png']) == 1
    assert default_workers([photos / 'a.png'] * 6) == 4

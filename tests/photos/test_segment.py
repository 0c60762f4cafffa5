import errno
import json
import multiprocessing
import os
import re
import signal
import time
import weakref
from hashlib import blake2b
from operator import attrgetter

import numpy as np
import pytest
import torch
from PIL import Image
from running import CHOICE, SETTINGS, check_outputs, list_outputs, load, read_map, run
from scipy import ndimage
from stand_ins import Counting, Failing, Raising, segment, segment_one

from dynaseg.io.reading import read_image
from dynaseg.photos import segment as segment_module
from dynaseg.photos.finding import find_images
from dynaseg.photos.outputs import OUTPUTS, output_paths
from dynaseg.photos.segment import DefectError, Job
from dynaseg.predictor import Segmentation


def test_outputs_of_one_image(tmp_path, photos):
    (record,) = run(photos / 'a.png', tmp_path / 'out')
    pixels = np.asarray(Image.open(photos / 'a.png'))
    labels = segment_one(pixels).labels
    assert (read_map(tmp_path / 'out/labels/a.png') == labels).all()
    parts = sum(ndimage.label(labels == label)[1] for label in np.unique(labels))
    assert record.pop('seconds') >= 0
    paths = output_paths(tmp_path / 'out', 'a')
    assert record.pop('outputs') == {
        folder: [path.stat().st_size, blake2b(path.read_bytes(), digest_size=8).hexdigest()]
        for folder, path in paths.items()
    }
    assert record == {
        'file': str(photos / 'a.png'),
        'name': 'a',
        'bytes': (photos / 'a.png').stat().st_size,
        'modified': (photos / 'a.png').stat().st_mtime_ns,
        'size': [16, 12],
        'detail': None,  # of clusters alone
        'regions': parts,
        'clusters': 4,
        'iterations': 2,
        'stop_reason': 'converged',
        'min_clusters': 1,
        'clusters_by_iteration': [6, 5, 4],
    }
    check_outputs(tmp_path / 'out')
    assert 'a.png' in (tmp_path / 'out/index.html').read_text()


def test_batch_that_fails_is_tried_image_by_image(tmp_path, photos):
    Image.new('RGB', (16, 12), (255, 0, 0)).save(photos / 'c.png')
    (photos / 'd.png').write_text('no image')
    records = run(photos, tmp_path / 'out', Failing(), batch_size=3)
    assert [record['name'] for record in records] == list('abcde')
    assert [record['name'] for record in check_outputs(tmp_path / 'out')] == list('abe')
    errors = {record['name']: record['error'] for record in records if 'error' in record}
    assert set(errors) == {'c', 'd'}
    assert errors['c'] == 'too large for the memory that is free (out of memory)'


def test_results_are_a_line_an_image(tmp_path, photos):
    records = run(photos, tmp_path / 'out')
    first, *lines = (tmp_path / 'out/results.jsonl').read_text().splitlines()
    assert json.loads(first) == {'settings': SETTINGS}
    assert [json.loads(line) for line in lines] == records


def test_exif_orientation_decides_the_size_of_the_outputs(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (30, 20)).save(tmp_path / 'a.jpg', exif=exif)
    (record,) = run(tmp_path / 'a.jpg', tmp_path / 'out')
    assert record['size'] == [20, 30]
    check_outputs(tmp_path / 'out')


@pytest.mark.parametrize('size', [(3200, 100), (70000, 1), (1, 70000)])
def test_large_images_are_looked_at_in_small(tmp_path, size):
    Image.new('RGB', size).save(tmp_path / 'a.png')
    run(tmp_path / 'a.png', tmp_path / 'out')
    assert len(check_outputs(tmp_path / 'out')) == 1


def test_unreadable_files_are_reported_and_the_rest_is_done(tmp_path, photos, capsys):
    (photos / 'b.png').write_text('no image')
    (photos / 'c.png').write_bytes((photos / 'a.png').read_bytes()[:-100])
    records = run([photos, tmp_path / 'absent.png'], tmp_path / 'out')
    errors = {record['name']: record['error'] for record in records if 'error' in record}
    assert errors.keys() == {'b', 'c', 'absent'}
    assert 'not a JPEG' in errors['b']
    assert 'damaged' in errors['c']
    assert 'No such file' in errors['absent']
    assert len(check_outputs(tmp_path / 'out')) == 3
    assert 'b.png' in (tmp_path / 'out/index.html').read_text()
    progress = capsys.readouterr().err
    assert '6/6' in progress
    assert 'skipped ' in progress


def test_how_many_were_done_before_is_told(tmp_path, photos, capsys):
    run([photos / 'a.png', photos / 'b.png'], tmp_path / 'out')
    assert 'done before' not in capsys.readouterr().err
    records = run(photos, tmp_path / 'out')
    assert f'2 of {len(records)} images were done before' in capsys.readouterr().err


def test_a_file_that_goes_before_it_is_read_is_skipped(tmp_path, photos, monkeypatch):
    def remove_and_read(path):
        if path.name == 'b.png':
            path.unlink()
        return read_image(path)

    monkeypatch.setattr('dynaseg.photos.segment.read_image', remove_and_read)
    records = run(photos, tmp_path / 'out', batch_size=5)
    assert records[1]['error'] == 'No such file or directory'
    assert [record['name'] for record in check_outputs(tmp_path / 'out')] == list('acde')


def test_a_file_that_changes_after_it_was_read_is_done_again(tmp_path, photos, monkeypatch):
    def read_and_change(path):
        image = read_image(path)
        if path.name == 'b.png':
            Image.fromarray(image[:6]).save(path)
        return image

    with monkeypatch.context() as patch:
        patch.setattr('dynaseg.photos.segment.read_image', read_and_change)
        assert run(photos, tmp_path / 'out')[1]['size'] == [16, 12]
    counting = Counting()
    assert run(photos, tmp_path / 'out', counting)[1]['size'] == [16, 6]
    assert counting.calls == 1


def allocate_too_much():
    torch.empty(2**60)


def too_much_for_pytorch():
    with pytest.raises(RuntimeError) as caught:
        allocate_too_much()
    return caught.value


@pytest.mark.parametrize(
    ('exception', 'reason'),
    [
        (MemoryError(), 'MemoryError'),
        (torch.OutOfMemoryError('CUDA out of memory.\nTry'), 'CUDA out of memory.'),
        (too_much_for_pytorch(), '.*memory.*'),
    ],
)
def test_image_too_large_for_the_memory_is_skipped(tmp_path, photos, exception, reason):
    records = run(photos, tmp_path / 'out', Counting(2, exception))
    assert [('error' in record) for record in records] == [False, True, False, False, False]
    assert re.fullmatch(rf'too large for the memory that is free \({reason}\)', records[1]['error'])
    assert len(check_outputs(tmp_path / 'out')) == 4


@pytest.mark.parametrize('exception', [RuntimeError('shapes'), ValueError('x'), KeyError('y')])
def test_defects_are_not_taken_for_bad_images(tmp_path, photos, exception):
    with pytest.raises(DefectError, match=re.escape(str(exception))) as caught:
        run(photos, tmp_path / 'out', Counting(3, exception))
    assert caught.value.__cause__ is exception
    assert [record['name'] for record in check_outputs(tmp_path / 'out')] == ['a', 'b']


def test_interrupted_run_goes_on_where_it_was(tmp_path, photos):
    out, whole = tmp_path / 'out', tmp_path / 'whole'
    with pytest.raises(KeyboardInterrupt):
        run(photos, out, Counting(3))
    assert [record['name'] for record in check_outputs(out)] == ['a', 'b']
    before = {path: path.stat() for path in (out / 'labels').iterdir()}
    rest = Counting()
    resumed = run(photos, out, rest)
    assert rest.calls == 3
    # What was done before is the very same file, not one written again.
    assert {path: path.stat() for path in before} == before
    assert len(check_outputs(out)) == 5
    for one, other in zip(resumed, run(photos, whole), strict=True):
        assert one | {'seconds': 0} == other | {'seconds': 0}
    for folder, names in list_outputs(whole).items():
        for name in names:
            assert (out / folder / name).read_bytes() == (whole / folder / name).read_bytes()
    nothing = Counting()
    assert run(photos, out, nothing) == resumed
    assert nothing.calls == 0


class Killed(Counting):
    def __call__(self, images):
        if self.calls == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(images)


def test_killed_run_goes_on(tmp_path, photos):
    process = multiprocessing.get_context('fork').Process(
        target=run, args=(photos, tmp_path / 'out', Killed())
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    rest = Counting()
    run(photos, tmp_path / 'out', rest)
    assert rest.calls == 2
    assert len(check_outputs(tmp_path / 'out')) == 5


def test_failed_images_and_lost_outputs_are_done_again(tmp_path, photos):
    run(photos, tmp_path / 'out', Counting(2, MemoryError()))
    (tmp_path / 'out/overlays/d.jpg').unlink()
    again = Counting()
    run(photos, tmp_path / 'out', again)
    assert again.calls == 2
    assert len(check_outputs(tmp_path / 'out')) == 5


@pytest.mark.parametrize('folder', OUTPUTS)
def test_each_output_that_is_lost_is_made_again(tmp_path, photos, folder):
    run(photos / 'a.png', tmp_path / 'out')
    (tmp_path / 'out' / folder / f'a{OUTPUTS[folder]}').unlink()
    again = Counting()
    run(photos / 'a.png', tmp_path / 'out', again)
    assert again.calls == 1
    assert len(check_outputs(tmp_path / 'out')) == 1


def test_outputs_of_another_image_are_made_again(tmp_path, photos):
    run(photos, tmp_path / 'out')
    labels = tmp_path / 'out/labels'
    (labels / 'a.png').rename(labels / 'x.png')
    (labels / 'b.png').rename(labels / 'a.png')
    (labels / 'x.png').rename(labels / 'b.png')
    again = Counting()
    run(photos, tmp_path / 'out', again)
    assert again.calls == 2
    check_outputs(tmp_path / 'out')
    for name in 'ab':
        expected = segment_one(np.asarray(Image.open(photos / f'{name}.png'))).labels
        assert (read_map(labels / f'{name}.png') == expected).all()


def test_changed_image_is_done_again(tmp_path, photos):
    run(photos, tmp_path / 'out')
    Image.new('RGB', (5, 4)).save(photos / 'c.png')
    again = Counting()
    records = run(photos, tmp_path / 'out', again)
    assert again.calls == 1
    assert records[2]['size'] == [5, 4]
    check_outputs(tmp_path / 'out')


def test_runs_add_up_in_one_folder(tmp_path, photos):
    run(photos / 'a.png', tmp_path / 'out')
    records = run(photos / 'b.png', tmp_path / 'out')
    assert [record['name'] for record in records] == ['b']
    assert [record['name'] for record in load(tmp_path / 'out')[1]] == ['a', 'b']


def test_files_of_one_stem_keep_their_outputs(tmp_path, photos):
    (photos / 'sub').mkdir()
    Image.new('RGB', (7, 7)).save(photos / 'sub/a.png')
    Image.new('RGB', (8, 8)).save(photos / 'a.bmp')
    with pytest.raises(KeyboardInterrupt):
        run([photos / 'sub/a.png', photos / 'a.bmp'], tmp_path / 'out', Counting(2))
    records = run([photos / 'a.png', photos / 'a.bmp', photos / 'sub'], tmp_path / 'out')
    sizes = {record['name']: record['size'] for record in records}
    assert sizes == {'a': [7, 7], 'a-2': [8, 8], 'a-3': [16, 12]}
    check_outputs(tmp_path / 'out')


def test_failure_to_write_leaves_nothing_partial(tmp_path, photos, monkeypatch):
    write = type(photos).write_bytes

    def write_half(path, content):
        write(path, content[:20])
        if 'overlays' in str(path):
            raise OSError(28, 'No space left on device')
        return write(path, content)

    monkeypatch.setattr(type(photos), 'write_bytes', write_half)
    with pytest.raises(OSError, match='No space left'):
        run(photos / 'a.png', tmp_path / 'out')
    assert list_outputs(tmp_path / 'out')['overlays'] == []
    monkeypatch.undo()
    run(photos / 'a.png', tmp_path / 'out')
    assert len(check_outputs(tmp_path / 'out')) == 1


def test_labels_of_another_size_are_a_bug_that_shows(tmp_path, photos):
    def segment(images):
        return [Segmentation(segment_one(image).labels[:5]) for image in images]

    with pytest.raises(DefectError, match=r'labels of an image \(12, 16\) have shape \(5, 16\)'):
        run(photos / 'a.png', tmp_path / 'out', segment)
    assert list_outputs(tmp_path / 'out')['labels'] == []


def test_a_folder_that_cannot_be_listed_says_why(tmp_path, photos, monkeypatch):
    (photos / 'locked').mkdir()
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path) == str(photos / 'locked'):
            raise PermissionError(errno.EACCES, 'Permission denied', os.fspath(path))
        return scandir(path)

    monkeypatch.setattr('os.scandir', refuse)
    records = run(photos, tmp_path / 'out')
    errors = {record['name']: record['error'] for record in records if 'error' in record}
    assert errors == {'locked': 'Permission denied'}


def test_errors_that_are_no_images_fault_end_the_run(tmp_path, photos):
    with pytest.raises(OSError, match='no device'):
        run(photos, tmp_path / 'out', Raising(OSError('no device')))


def test_damaged_and_odd_files(tmp_path, monkeypatch, damaged_files):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1_000_000)
    photos = tmp_path / 'photos'
    photos.mkdir()
    suffixes = ['.jpg', '.png', '.tif', '.webp', '.bmp']
    for number, content in enumerate(damaged_files(240)):
        (photos / f'{number % 100}{suffixes[number % 5]}').write_bytes(content)
        (photos / f'{number:03}x{suffixes[number % 5]}').write_bytes(content)
    (photos / 'folder.png').mkdir()
    (photos / 'words.jpg').write_text('no image')
    (photos / 'empty.png').touch()
    os.mkfifo(photos / 'pipe.png')
    os.symlink(photos / 'absent', photos / 'link.png')
    for width, height in [(1, 1), (1, 90), (90, 1), (2, 2)]:
        Image.new('RGB', (width, height)).save(photos / f'odd {width} x {height}.png')
    files = find_images(photos)
    records = run(photos, tmp_path / 'out', overwrite=True)
    done = load(tmp_path / 'out')[1]
    assert records == done
    assert len(records) == len(files) > 340
    done = [record['name'] for record in done if 'error' not in record]
    assert 50 < len(done) < 300
    assert {'words', 'empty', 'pipe', 'link'}.isdisjoint(done)
    assert sum('odd' in name for name in done) == 4
    assert list_outputs(tmp_path / 'out')['regions'] == sorted(f'{name}.png' for name in done)
    assert CHOICE.min_area == 0


def test_the_seconds_of_an_image_are_its_own(tmp_path, photos, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, 'perf_counter', lambda: clock[0])

    def read_slowly(path):  # as those behind others in a queue wait
        clock[0] += 100
        return read_image(path)

    def predict(images):
        clock[0] += 2 * len(images)
        return [segment_one(image) for image in images]

    monkeypatch.setattr('dynaseg.photos.segment.read_image', read_slowly)
    job = Job(predict, lambda name, image, done: {})
    records = job([(photos / f'{name}.png', name) for name in 'abc'])
    assert [record['seconds'] for record in records] == [2, 2, 2]


class Filling:
    """Fills the memory with one large object a call, which does not do for several images."""

    def __init__(self):
        self.filled = []

    def __call__(self, images):
        large = np.zeros(len(images))
        self.filled.append(weakref.ref(large))
        if len(images) > 1:
            raise MemoryError
        assert sum(one() is not None for one in self.filled) == 1
        return segment(images)


def test_what_filled_the_memory_is_let_go_before_images_are_tried_one_by_one(tmp_path, photos):
    records = run(photos, tmp_path / 'out', Filling(), batch_size=5)
    assert not any('error' in record for record in records)


@pytest.mark.parametrize('step', ['read_image', 'OutputWriter.__call__'])
def test_lack_of_memory_beside_the_network_costs_the_image_alone(
    tmp_path, photos, monkeypatch, step
):
    whole = attrgetter(step)(segment_module)

    def fail(*args):
        if any(str(one).endswith(('b.png', 'b')) for one in args):
            raise MemoryError
        return whole(*args)

    monkeypatch.setattr(f'dynaseg.photos.segment.{step}', fail)
    records = run(photos, tmp_path / 'out')
    errors = [record.get('error') for record in records]
    assert errors == [None, 'too large for the memory that is free (MemoryError)', *[None] * 3]

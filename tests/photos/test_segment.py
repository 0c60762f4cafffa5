import json
import multiprocessing
import os
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from dynaseg.photos.finding import find_images
from dynaseg.photos.results import OUTPUTS, Results
from dynaseg.photos.segment import segment_files

SETTINGS = {'config': 'a.py', 'seed': 0}


def segment_one(image):
    """A stand-in for a fit: four grey levels."""
    grey = torch.tensor(image).sum(dim=2) // 192
    labels = torch.unique(grey, return_inverse=True)[1].reshape(grey.shape)
    clusters = int(labels.max()) + 1
    return SimpleNamespace(
        labels=labels,
        num_clusters=[clusters + 2, clusters + 1, clusters],
        losses=[1.0, 0.5, 0.2],
        iterations=2,
        floor=1,
        stop_reason='settled',
    )


class Counting:
    """Segments as above, counts, and raises an exception on one image."""

    def __init__(self, raise_on=None, exception=KeyboardInterrupt):
        self.calls, self.raise_on, self.exception = 0, raise_on, exception

    def __call__(self, image):
        self.calls += 1
        if self.calls == self.raise_on:
            raise self.exception
        return segment_one(image)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / 'photos'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in 'abcde':
        pixels = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f'{name}.png')
    return folder


def segment_together(items, batch_size):
    """A stand-in for a batched fit: images come out late, in another order; red ones fail."""
    batch = []

    def finish():
        if any(tuple(image[0, 0]) == (255, 0, 0) for _, image in batch):
            raise RuntimeError('out of memory')
        for key, image in reversed(batch):
            yield key, segment_one(image)
        batch.clear()

    for item in items:
        batch.append(item)
        if len(batch) == batch_size:
            yield from finish()
    yield from finish()


def run(inputs, out_dir, segment=segment_one, settings=SETTINGS, overwrite=False):
    def segment_stream(items, batch_size):
        for key, image in items:
            yield key, segment(image)

    files = find_images(inputs)
    return segment_files(files, Results(out_dir, settings, overwrite), segment_stream)


def load(out_dir):
    return json.loads((out_dir / 'results.json').read_text())


def list_outputs(out_dir):
    return {
        folder: sorted(file.name for file in (out_dir / folder).glob('*')) for folder in OUTPUTS
    }


def check_outputs(out_dir):
    """Check that all there is belongs to a record, is whole, and has the size recorded."""
    done = [record for record in load(out_dir)['images'] if 'error' not in record]
    assert list_outputs(out_dir) == {
        folder: sorted(record['name'] + suffix for record in done)
        for folder, suffix in OUTPUTS.items()
    }
    assert {file.name for file in out_dir.iterdir()} <= {*OUTPUTS, 'results.json', 'index.html'}
    for record in done:
        for folder in ('labels', 'overlays'):
            path = out_dir / folder / (record['name'] + OUTPUTS[folder])
            with Image.open(path) as image:
                image.load()
                assert list(image.size) == record['size']
    return done


def test_outputs_of_one_image(tmp_path, photos):
    (record,) = run(photos / 'a.png', tmp_path / 'out')
    pixels = np.asarray(Image.open(photos / 'a.png'))
    labels = segment_one(pixels).labels.numpy()
    written = Image.open(tmp_path / 'out/labels/a.png')
    assert written.mode == 'L'
    assert (np.asarray(written) == labels).all()
    components = sum(ndimage.label(labels == label)[1] for label in np.unique(labels))
    assert record.pop('seconds') >= 0
    assert record == {
        'file': str(photos / 'a.png'),
        'name': 'a',
        'bytes': (photos / 'a.png').stat().st_size,
        'modified': (photos / 'a.png').stat().st_mtime_ns,
        'size': [16, 12],
        'clusters': 4,
        'components': components,
        'iterations': 2,
        'stop_reason': 'settled',
        'floor': 1,
        'clusters_by_iteration': [6, 5, 4],
    }
    check_outputs(tmp_path / 'out')
    assert 'a.png' in (tmp_path / 'out/index.html').read_text()


@pytest.mark.parametrize('workers', [0, 2])
def test_batch_that_fails_is_tried_image_by_image(tmp_path, photos, workers):
    Image.new('RGB', (16, 12), (255, 0, 0)).save(photos / 'c.png')
    (photos / 'd.png').write_text('no image')
    files = find_images(photos)
    results = Results(tmp_path / 'out', SETTINGS)
    records = segment_files(files, results, segment_together, batch_size=3, workers=workers)
    assert [record['name'] for record in records] == list('abcde')
    assert [record['name'] for record in check_outputs(tmp_path / 'out')] == list('abe')
    errors = {record['name']: record['error'] for record in records if 'error' in record}
    assert set(errors) == {'c', 'd'}
    assert errors['c'] == 'cannot be segmented: out of memory'


def test_results_are_a_line_an_image(tmp_path, photos):
    records = run(photos, tmp_path / 'out')
    assert load(tmp_path / 'out') == {'settings': SETTINGS, 'images': records}
    lines = (tmp_path / 'out/results.json').read_text().splitlines()
    assert [json.loads(line.rstrip(',')) for line in lines[2:-1]] == records


@pytest.mark.parametrize(('count', 'mode'), [(256, 'L'), (257, 'I;16'), (300, 'I;16')])
def test_over_256_labels_take_16_bits(tmp_path, photos, count, mode):
    labels = torch.arange(300).clamp(max=count - 1).reshape(15, 20)
    Image.new('RGB', (20, 15)).save(photos / 'a.png')

    def segment(image):
        fit = segment_one(image)
        fit.labels = labels
        return fit

    (record,) = run(photos / 'a.png', tmp_path / 'out', segment)
    written = Image.open(tmp_path / 'out/labels/a.png')
    assert written.mode == mode
    assert (np.asarray(written) == labels.numpy()).all()
    assert record['clusters'] == count


def test_exif_orientation_decides_the_size_of_the_outputs(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (30, 20)).save(tmp_path / 'a.jpg', exif=exif)
    (record,) = run(tmp_path / 'a.jpg', tmp_path / 'out')
    assert record['size'] == [20, 30]
    check_outputs(tmp_path / 'out')


def test_large_images_have_small_thumbnails(tmp_path):
    Image.new('RGB', (2560, 100)).save(tmp_path / 'a.png')
    run(tmp_path / 'a.png', tmp_path / 'out')
    assert Image.open(tmp_path / 'out/thumbnails/a.jpg').size == (1280, 50)
    check_outputs(tmp_path / 'out')


def test_overlays_beyond_the_limit_of_jpeg_are_scaled_down(tmp_path):
    Image.new('RGB', (70000, 1)).save(tmp_path / 'a.png')
    run(tmp_path / 'a.png', tmp_path / 'out')
    assert Image.open(tmp_path / 'out/labels/a.png').size == (70000, 1)
    assert Image.open(tmp_path / 'out/overlays/a.jpg').size == (65500, 1)


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
    assert 'ETA' in progress


@pytest.mark.parametrize('exception', [RuntimeError('no memory'), ValueError('x'), MemoryError()])
def test_image_that_cannot_be_segmented_is_skipped(tmp_path, photos, exception):
    records = run(photos, tmp_path / 'out', Counting(2, exception))
    assert [('error' in record) for record in records] == [False, True, False, False, False]
    assert records[1]['error'] == f'cannot be segmented: {exception}'
    assert len(check_outputs(tmp_path / 'out')) == 4


def test_interrupted_run_goes_on_where_it_was(tmp_path, photos):
    with pytest.raises(KeyboardInterrupt):
        run(photos, tmp_path / 'out', Counting(3))
    assert [record['name'] for record in check_outputs(tmp_path / 'out')] == ['a', 'b']
    rest = Counting()
    resumed = run(photos, tmp_path / 'out', rest)
    assert rest.calls == 3
    assert len(check_outputs(tmp_path / 'out')) == 5
    whole = run(photos, tmp_path / 'whole')
    for one, other in zip(resumed, whole, strict=True):
        assert one | {'seconds': 0} == other | {'seconds': 0}
    for folder, names in list_outputs(tmp_path / 'whole').items():
        for name in names:
            path = f'{folder}/{name}'
            ours, theirs = (tmp_path / run / path for run in ('out', 'whole'))
            assert ours.read_bytes() == theirs.read_bytes()
    assert run(photos, tmp_path / 'out', Counting(1)) == resumed


def test_killed_run_goes_on(tmp_path, photos):
    class Killed(Counting):
        def __call__(self, image):
            if self.calls == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().__call__(image)

    process = multiprocessing.get_context('fork').Process(
        target=run, args=(photos, tmp_path / 'out', Killed())
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    rest = Counting()
    run(photos, tmp_path / 'out', rest)
    assert 2 <= rest.calls <= 5
    assert len(check_outputs(tmp_path / 'out')) == 5


def test_failed_images_and_lost_outputs_are_done_again(tmp_path, photos):
    run(photos, tmp_path / 'out', Counting(2, ValueError()))
    (tmp_path / 'out/overlays/d.jpg').unlink()
    again = Counting()
    run(photos, tmp_path / 'out', again)
    assert again.calls == 2
    assert len(check_outputs(tmp_path / 'out')) == 5


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
    assert [record['name'] for record in load(tmp_path / 'out')['images']] == ['a', 'b']


def test_files_of_one_stem_keep_their_outputs(tmp_path, photos):
    (photos / 'sub').mkdir()
    Image.new('RGB', (7, 7)).save(photos / 'sub/a.png')
    Image.new('RGB', (8, 8)).save(photos / 'a.bmp')
    with pytest.raises(KeyboardInterrupt):
        run([photos / 'sub/a.png', photos / 'a.bmp'], tmp_path / 'out', Counting(2))
    records = run([photos / 'a.png', photos / 'a.bmp', photos / 'sub'], tmp_path / 'out')
    sizes = {record['name']: record['size'] for record in records}
    assert sizes == {'a': [7, 7], 'a-2': [16, 12], 'a-3': [8, 8]}
    check_outputs(tmp_path / 'out')


def test_other_settings_are_refused_unless_overwriting(tmp_path, photos):
    run(photos, tmp_path / 'out')
    other = SETTINGS | {'config_sha256': 'f00', 'seed': 1}
    changes = r'\(the content of the config has changed; seed was 0, is 1\)'
    with pytest.raises(ValueError, match=f'other settings {changes}: .*overwrite'):
        run(photos / 'a.png', tmp_path / 'out', settings=other)
    assert len(check_outputs(tmp_path / 'out')) == 5
    again = Counting()
    run(photos / 'a.png', tmp_path / 'out', again, other, overwrite=True)
    assert again.calls == 1
    assert load(tmp_path / 'out')['settings'] == other
    assert len(check_outputs(tmp_path / 'out')) == 1


@pytest.mark.parametrize(
    'content',
    [
        '',
        'words',
        '[]',
        '{"settings": 1, "images": []}',
        '{"settings": {}, "images": [1]}',
        '{"settings": {}, "images": [{"file": "a", "name": "../a"}]}',
        '{"settings": {}, "images": [{"file": "a", "name": "a"}]}',
    ],
)
def test_foreign_results_are_refused_unless_overwriting(tmp_path, photos, content):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/results.json').write_text(content)
    with pytest.raises(ValueError, match=r'results\.json is damaged or of another program'):
        run(photos, tmp_path / 'out')
    assert (tmp_path / 'out/results.json').read_text() == content
    run(photos, tmp_path / 'out', overwrite=True)
    assert len(check_outputs(tmp_path / 'out')) == 5


def test_foreign_files_are_never_overwritten(tmp_path, photos):
    (tmp_path / 'labels').mkdir()
    (tmp_path / 'labels/a.png').write_text('of great value')
    with pytest.raises(ValueError, match=r'labels holds files, but .*results\.json is missing'):
        run(photos, tmp_path)
    assert (tmp_path / 'labels/a.png').read_text() == 'of great value'


def test_failure_to_write_leaves_nothing_partial(tmp_path, photos, monkeypatch):
    save = Image.Image.save

    def save_half(image, path, *args, **kwargs):
        save(image, path, *args, **kwargs)
        if 'overlays' in str(path):
            path.write_bytes(path.read_bytes()[:20])
            raise OSError(28, 'No space left on device')

    monkeypatch.setattr(Image.Image, 'save', save_half)
    with pytest.raises(OSError, match='No space left'):
        run(photos / 'a.png', tmp_path / 'out')
    assert list_outputs(tmp_path / 'out')['overlays'] == []
    monkeypatch.undo()
    run(photos / 'a.png', tmp_path / 'out')
    assert len(check_outputs(tmp_path / 'out')) == 1


def test_labels_of_another_size_are_a_bug_that_shows(tmp_path, photos):
    def segment(image):
        return segment_one(image[:5])

    with pytest.raises(AssertionError, match='unfit labels'):
        run(photos / 'a.png', tmp_path / 'out', segment)
    assert list_outputs(tmp_path / 'out')['labels'] == []


def test_results_are_not_written_more_often_than_is_cheap(tmp_path, monkeypatch):
    results = Results(tmp_path, SETTINGS)
    now = [0.0]
    monkeypatch.setattr('dynaseg.photos.results.time.monotonic', lambda: now[0])
    saved = []
    save = Results.save

    def slow_save(self):
        saved.append(now[0])
        save(self)
        self._seconds_to_save = 1.0

    monkeypatch.setattr(Results, 'save', slow_save)
    results.save()
    for second in range(1, 61):
        now[0] = float(second)
        results.add({'file': str(second), 'name': str(second), 'error': 'x'})
    assert saved == [0, 21, 42]


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
    records = run(photos, tmp_path / 'out')
    done = check_outputs(tmp_path / 'out')
    assert len(records) == len(files) > 340
    assert 50 < len(done) < 300
    assert {'words', 'empty', 'pipe', 'link'}.isdisjoint(record['name'] for record in done)
    assert sum('odd' in record['name'] for record in done) == 4

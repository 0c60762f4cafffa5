import hashlib

import numpy as np
import pytest
from PIL import Image

from dynaseg.mmseg.datasets.coco_stuff import SPLIT_FILE, CocoStuff27Dataset


@pytest.fixture
def run(load_tool, sample_data, capsys):
    """Runs the command on the sample data; returns its exit status and what it printed."""

    def call(*arguments):
        status = load_tool('prepare_coco').main(
            ['--data-root', str(sample_data), '--workers', '1', *arguments]
        )
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


@pytest.mark.parametrize('workers', ['1', '2'])
def test_complete_data(run, workers):
    status, out, _ = run('--any-split', '--workers', workers)
    assert status == 0
    assert out.splitlines()[-2:] == ['train2017: complete', 'val2017: complete']


def test_another_split_is_refused(run):
    status, out, err = run('--skip-masks')
    assert status == 1
    assert f'train2017/{SPLIT_FILE} lists 4 images: expected 49629' in err
    assert f'val2017/{SPLIT_FILE} lists 3 images: expected 2175' in err
    assert 'complete' not in out


def test_a_changed_split_is_refused(load_tool, tmp_path):
    tool = load_tool('prepare_coco')
    path = tmp_path / SPLIT_FILE
    path.write_text('1\n2\n')
    digest = hashlib.sha256(b'1\n2\n').hexdigest()
    assert tool.check_split(path, 2, digest) is None
    assert tool.check_split(path, 2, '0' * 64) == f'{path} has sha256 {digest}: expected {"0" * 64}'


@pytest.mark.parametrize('subset', ['train2017', 'val2017'])
def test_picies_splits_are_accepted(load_tool, test_data, subset):
    tool = load_tool('prepare_coco')
    assert (
        tool.check_split(test_data / 'curated' / subset / SPLIT_FILE, *tool.SPLITS[subset]) is None
    )


def test_every_problem_is_reported(run, sample_data):
    images = sorted((sample_data / 'coco' / 'val2017').iterdir())
    masks = sorted((sample_data / 'coco' / 'annotations' / 'val2017').iterdir())
    images[0].unlink()
    masks[0].unlink()
    masks[1].write_bytes(b'damaged')
    Image.fromarray(np.full((40, 48), 200, np.uint8)).save(masks[2])
    status, out, err = run('--any-split', '--subsets', 'val2017')
    assert status == 1
    assert 'complete' not in out
    assert f'val2017: 1 of 3 listed ids have no file in {images[0].parent}: {images[0].stem}' in err
    assert f'val2017: 1 of 3 listed ids have no file in {masks[0].parent}: {masks[0].stem}' in err
    assert f'val2017: {masks[1]} cannot be read as a mask' in err
    assert f'val2017: {masks[2]} has ids [200]: expected 0 to 181 or 255' in err


def test_masks_may_be_skipped(run, sample_data):
    for mask in (sample_data / 'coco' / 'annotations' / 'val2017').iterdir():
        mask.write_bytes(b'damaged')
    assert run('--any-split', '--subsets', 'val2017', '--skip-masks')[0] == 0
    assert run('--any-split', '--subsets', 'val2017')[0] == 1


@pytest.mark.parametrize(
    ('content', 'message'), [(None, 'no split file'), ('\n', 'lists no image')]
)
def test_a_missing_or_empty_split(run, sample_data, content, message):
    split = sample_data / 'curated' / 'train2017' / SPLIT_FILE
    split.unlink()
    if content is not None:
        split.write_text(content)
    status, out, err = run('--any-split')
    assert status == 1
    assert message in err
    assert str(split) in err
    assert 'val2017: complete' in out


def test_a_part_is_accepted_when_told_so_and_what_is_missing_is_said(run, sample_data):
    images = sorted((sample_data / 'coco' / 'train2017').iterdir())
    images[0].unlink()
    masks = sorted((sample_data / 'coco' / 'annotations' / 'train2017').iterdir())
    masks[1].unlink()
    assert run('--any-split')[0] == 1
    status, out, _ = run('--any-split', '--partial', 'few.txt')
    assert status == 0
    assert (
        'train2017: 2 of 4 listed images are there with their masks; missing: 1 images, 1 masks'
        in out
    )
    assert 'train2017: usable in part' in out
    split = sample_data / 'curated' / 'train2017' / 'few.txt'
    assert split.read_text().split() == [path.stem for path in images[2:]]
    dataset = CocoStuff27Dataset([], 'train2017', data_root=sample_data, split_file='few.txt')
    assert len(dataset) == 2


def test_a_part_is_checked_as_the_whole(run, sample_data):
    masks = sorted((sample_data / 'coco' / 'annotations' / 'val2017').iterdir())
    masks[0].write_bytes(b'damaged')
    for path in (sample_data / 'coco' / 'train2017').iterdir():
        path.unlink()
    status, out, err = run('--any-split', '--partial', 'few.txt')
    assert status == 1
    assert f'val2017: {masks[0]} cannot be read as a mask' in err
    assert 'train2017: 0 of 4 listed images are there' in err
    assert 'usable' not in out
    assert not (sample_data / 'curated' / 'train2017' / 'few.txt').exists()
    assert run('--partial', 'few.txt', '--skip-masks')[0] == 1  # PiCIE's lists are wanted still


@pytest.mark.parametrize('name', ['', SPLIT_FILE, 'folder/few.txt'])
def test_the_list_of_a_part_is_another_file(run, name):
    with pytest.raises(SystemExit):
        run('--partial', name)


def test_a_list_that_cannot_be_written_is_named(run, sample_data):
    place = sample_data / 'curated' / 'train2017' / 'few.txt'
    place.mkdir()
    status, _, err = run('--any-split', '--partial', 'few.txt')
    assert status == 1
    assert f'train2017: {place} cannot be written' in err


def test_workers_must_be_some(run, capsys):
    with pytest.raises(SystemExit):
        run('--workers', '0')
    assert '--workers must be at least 1, got 0' in capsys.readouterr().err

import json
from collections import Counter

import numpy as np
import pytest
from mmseg.datasets import build_dataset
from PIL import Image

from dynaseg.mmseg.datasets import CocoStuff27Dataset
from dynaseg.mmseg.datasets.coco_stuff import SPLIT_FILE
from dynaseg.mmseg.datasets.pipelines.coco_stuff import (
    COCO_STUFF27_CLASSES,
    NUM_THINGS,
    UNKNOWN,
    coco_stuff27_table,
)

PIPELINE = [{'type': 'LoadImage'}, {'type': 'Collect', 'keys': ['img'], 'meta_keys': ['filename']}]


def build(root, **changes):
    config = {'type': 'CocoStuff27Dataset', 'pipeline': PIPELINE, 'data_root': str(root)}
    return build_dataset({**config, **changes})


def masks(root, subset='val2017'):
    return sorted((root / 'coco' / 'annotations' / subset).iterdir())


def images(root, subset='val2017'):
    return sorted((root / 'coco' / subset).iterdir())


def test_layout(sample_data):
    train, val = build(sample_data), build(sample_data, subset='val2017', test_mode=True)
    assert len(train) == 4
    assert len(val) == 3
    assert [info['filename'] for info in val.img_infos] == [
        path.name for path in images(sample_data)
    ]
    assert train[0]['img'].shape == (40, 48, 3)
    assert val[0]['img_metas'].data['filename'] == str(images(sample_data)[0])
    assert train.CLASSES == COCO_STUFF27_CLASSES
    assert len({tuple(colour) for colour in train.PALETTE}) == 27


def test_jpg_and_jpeg(sample_data):
    first = images(sample_data)[0]
    first.rename(first.with_suffix('.jpg'))
    names = [info['filename'] for info in build(sample_data, subset='val2017').img_infos]
    assert [name.split('.')[1] for name in names] == ['jpg', 'jpeg', 'jpeg']


def test_the_split_decides_which_images_and_in_which_order(sample_data):
    ids = [path.stem for path in images(sample_data)]
    split = sample_data / 'curated' / 'val2017' / 'mine.txt'
    split.write_text(f'{ids[2]}\n{ids[0]}\n')
    dataset = build(sample_data, subset='val2017', split_file='mine.txt')
    assert [info['filename'] for info in dataset.img_infos] == [f'{ids[2]}.jpeg', f'{ids[0]}.jpeg']


def test_training_reads_no_annotation(sample_data):
    for mask in masks(sample_data, 'train2017'):
        mask.unlink()
    dataset = build(sample_data)
    assert all(dataset[index]['img'].any() for index in range(len(dataset)))


def test_table_equals_the_published_map(test_data):
    reference = json.loads((test_data / 'coco_stuff27.json').read_text())
    assert list(COCO_STUFF27_CLASSES) == reference['classes']
    assert reference['num_things'] == NUM_THINGS
    assert coco_stuff27_table()[:182].tolist() == reference['fine_to_coarse']


def test_pixels_of_real_masks_are_those_of_an_independent_count(test_data, tmp_path):
    reference = json.loads((test_data / 'coco_stuff27.json').read_text())
    folder = test_data / 'coco' / 'annotations' / 'val2017'
    if not folder.is_dir():
        pytest.skip(f'needs images of COCO-Stuff in {folder.parents[1]}')
    (tmp_path / 'coco').symlink_to(test_data / 'coco')
    (tmp_path / 'curated' / 'val2017').mkdir(parents=True)
    paths = sorted(folder.iterdir())
    split = tmp_path / 'curated' / 'val2017' / 'all.txt'
    split.write_text('\n'.join(path.stem for path in paths))
    dataset = build(tmp_path, subset='val2017', split_file='all.txt', test_mode=True)
    assert len(dataset) == len(paths) > 0
    for index, path in enumerate(paths):
        counts = Counter()
        with Image.open(path) as mask:
            for number, value in mask.getcolors():
                if value != 255:
                    counts[reference['fine_to_coarse'][value]] += number
        classes = dataset.get_gt_seg_map_by_idx(index)
        assert dataset[index]['img'].shape[:2] == classes.shape
        found = {c: int((classes == c).sum()) for c in range(27) if (classes == c).any()}
        assert found == dict(counts), path.name
        # each pixel is then counted once, in the class that it has
        (table,) = dataset.pre_eval(classes * (classes < 27), index)
        assert table.table.sum(axis=0).tolist() == [counts[c] for c in range(27)]


def test_table_of_each_choice_of_categories():
    table = coco_stuff27_table('all')
    assert set(table[:182]) == set(range(27))
    assert (table[182:255] == UNKNOWN).all()
    assert table[255] == 255
    ids = np.arange(182)
    things = table[ids] < NUM_THINGS
    np.testing.assert_array_equal(
        coco_stuff27_table('thing')[ids], np.where(things, table[ids], 255)
    )
    np.testing.assert_array_equal(
        coco_stuff27_table('stuff')[ids], np.where(things, 255, table[ids] - np.uint8(NUM_THINGS))
    )


@pytest.mark.parametrize(
    ('categories', 'expected', 'number'),
    [
        ('all', [[9, 23], [26, 255]], 27),
        ('thing', [[9, 255], [255, 255]], 12),
        ('stuff', [[255, 11], [14, 255]], 15),
    ],
)
def test_masks_become_classes(sample_data, categories, expected, number):
    # a person, sky, sea and an unlabelled pixel
    Image.fromarray(np.array([[0, 156], [154, 255]], np.uint8)).save(masks(sample_data)[0])
    dataset = build(sample_data, subset='val2017', test_mode=True, categories=categories)
    assert dataset.get_gt_seg_map_by_idx(0).tolist() == expected
    assert len(dataset.CLASSES) == len(dataset.PALETTE) == number


def test_perfect_clusters_score_one(sample_data):
    dataset = build(sample_data, subset='val2017', test_mode=True)
    labels = [dataset.get_gt_seg_map_by_idx(index) for index in range(3)]
    figures = dataset.evaluate(labels)
    for name in ('aAcc', 'mIoU', 'mIoU_stuff', 'mIoU_per_image'):
        assert figures[name] == 1
    stuff = build(sample_data, subset='val2017', test_mode=True, categories='stuff')
    assert stuff.evaluate(labels)['mIoU'] == 1


@pytest.mark.parametrize(('argument', 'value'), [('subset', 'test2017'), ('categories', 'things')])
def test_bad_arguments_are_named(sample_data, argument, value):
    with pytest.raises(ValueError, match=f'{argument} must be .* got {value!r}'):
        build(sample_data, **{argument: value})


def test_a_missing_root_names_the_split_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf'no split file .*{SPLIT_FILE}; PiCIE'):
        build(tmp_path / 'nowhere')


def test_a_missing_split_file_is_named(sample_data):
    (sample_data / 'curated' / 'train2017' / SPLIT_FILE).unlink()
    with pytest.raises(FileNotFoundError, match=rf'no split file .*{SPLIT_FILE}; PiCIE.*github'):
        build(sample_data)


def test_an_empty_split_file_is_named(sample_data):
    (sample_data / 'curated' / 'train2017' / SPLIT_FILE).write_text('\n')
    with pytest.raises(ValueError, match=rf'{SPLIT_FILE} lists no image: expected one name a line'):
        build(sample_data)


def test_missing_images_are_counted_and_named(sample_data):
    gone = images(sample_data)[1]
    gone.unlink()
    with pytest.raises(
        FileNotFoundError,
        match=rf'1 of 3 listed ids have no image in .*: {gone.stem}; .*cocodataset',
    ):
        build(sample_data, subset='val2017')


def test_many_missing_images_are_not_all_named(sample_data):
    for path in images(sample_data, 'train2017'):
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r'4 of 4 listed ids .*3, \.\.\.; '):
        build(sample_data)


def test_missing_masks_are_needed_for_testing_alone(sample_data):
    gone = masks(sample_data)[0]
    gone.unlink()
    assert len(build(sample_data, subset='val2017')) == 3
    with pytest.raises(
        FileNotFoundError, match=rf'1 of 3 listed ids have no mask in .*: {gone.stem}; .*cocostuff'
    ):
        build(sample_data, subset='val2017', test_mode=True)


def test_unused_ids_are_named(sample_data):
    mask = masks(sample_data)[0]
    Image.fromarray(np.full((40, 48), 200, np.uint8)).save(mask)
    dataset = build(sample_data, subset='val2017', test_mode=True)
    with pytest.raises(
        ValueError, match=rf'{mask.name} has ids \[200\]: expected .* 0 to 181 or 255'
    ):
        dataset.pre_eval(np.zeros((40, 48), int), 0)


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (b'', 'the file is empty'),
        (b'this is no image', 'not a JPEG, PNG'),
        (b'\xff\xd8\xff\xe0\x00\x10JFIF', 'damaged'),
    ],
)
def test_unreadable_pictures_are_named(sample_data, content, reason):
    picture = images(sample_data)[0]
    picture.write_bytes(content)
    dataset = build(sample_data, subset='val2017')
    with pytest.raises(ValueError, match=rf'{picture.name}: {reason}'):
        dataset[0]


@pytest.mark.parametrize('length', [0, 20, 60])
def test_unreadable_masks_are_named(sample_data, length):
    mask = masks(sample_data)[0]
    mask.write_bytes(mask.read_bytes()[:length])
    dataset = build(sample_data, subset='val2017', test_mode=True)
    with pytest.raises(ValueError, match=rf'{mask.name} cannot be read as a mask'):
        dataset.get_gt_seg_map_by_idx(0)


@pytest.mark.parametrize('mode', ['RGB', 'I;16'])
def test_masks_of_other_kinds_are_named(sample_data, mode):
    mask = masks(sample_data)[0]
    Image.new(mode, (48, 40)).save(mask)
    dataset = build(sample_data, subset='val2017', test_mode=True)
    with pytest.raises(ValueError, match=rf'{mask.name} is not a mask of one 8-bit channel'):
        dataset.get_gt_seg_map_by_idx(0)


def test_the_layout_of_picie_and_stego_is_read_too(sample_data):
    expected = CocoStuff27Dataset([], 'val2017', data_root=str(sample_data), test_mode=True)
    classes = expected.read_classes(1)
    (sample_data / 'coco/annotations').rename(sample_data / 'annotations')
    (sample_data / 'coco').rename(sample_data / 'images')
    dataset = CocoStuff27Dataset([], 'val2017', data_root=str(sample_data), test_mode=True)
    assert dataset.img_infos == expected.img_infos
    assert np.array_equal(dataset.read_classes(1), classes)


def test_photographs_in_a_folder_of_images_are_no_layout(sample_data):
    expected = CocoStuff27Dataset([], 'val2017', data_root=str(sample_data)).img_infos
    (sample_data / 'images').mkdir()
    assert CocoStuff27Dataset([], 'val2017', data_root=str(sample_data)).img_infos == expected

import numpy as np
import pytest
from mmcv import Config
from mmseg.datasets import build_dataset
from PIL import Image

from dynaseg.core.regions import RegionHierarchy
from dynaseg.mmseg.datasets.voc import VOCRegionDataset
from dynaseg.mmseg.errors import UserError

OBJECTS = np.zeros((8, 12), dtype=np.uint8)  # two cars, side by side, outlined by void
OBJECTS[3:8, 1:5] = 255
OBJECTS[4:8, 2:4] = 1
OBJECTS[4:8, 6:10] = 2
CLASSES = np.where((OBJECTS == 1) | (OBJECTS == 2), 7, OBJECTS).astype(np.uint8)
SPLIT = 'ImageSets/Segmentation/val.txt'


def save_mask(path, ids):
    image = Image.fromarray(ids).convert('P')
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768).astype(np.uint8).tobytes())
    path.parent.mkdir(exist_ok=True)
    image.save(path)


@pytest.fixture
def root(tmp_path):
    for folder in ('ImageSets/Segmentation', 'JPEGImages'):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / SPLIT).write_text('2007_000001\n2007_000002\n')
    for name in ('2007_000001', '2007_000002', '2007_000003'):
        Image.new('RGB', (12, 8)).save(tmp_path / f'JPEGImages/{name}.jpg')
        save_mask(tmp_path / f'SegmentationObject/{name}.png', OBJECTS)
        save_mask(tmp_path / f'SegmentationClass/{name}.png', CLASSES)
    return tmp_path


def build(root, **kwargs):
    return VOCRegionDataset([], SPLIT, data_root=str(root), test_mode=True, **kwargs)


def hierarchy_of_one_region():
    leaves = np.zeros((8, 12), dtype=np.int32)
    return RegionHierarchy(leaves, np.array([0]), np.array([0.0]))


def test_takes_the_images_of_the_split(root):
    files = [info['filename'] for info in build(root).img_infos]
    assert files == ['2007_000001.jpg', '2007_000002.jpg']
    assert len(build(root, max_images=1)) == 1


def test_reads_ids_and_not_colours(root):
    np.testing.assert_array_equal(build(root).get_gt_seg_map_by_idx(0), OBJECTS)


def test_objects_and_background_are_segments_and_void_counts_nowhere(root):
    dataset = build(root)
    labels = np.zeros((8, 12), dtype=np.int64)
    labels[3:8, 1:5] = 4  # the first object with its void outline
    (statistics,) = dataset.pre_eval(labels, 0)
    background = (OBJECTS == 0).sum()
    # Background and the second object lie in one predicted segment.
    assert statistics.components.segment_ious[0] == pytest.approx(
        [background / (background + 16), 1, 16 / (background + 16)]
    )
    metrics = dataset.evaluate([statistics, statistics])
    assert metrics['mIoU'] == metrics['mIoU_fine'] == metrics['mIoU_coarse']
    assert metrics['mIoU'] == pytest.approx((1 + 1) / 3)


def test_classes_as_segments(root):
    dataset = build(root, ann_dir='SegmentationClass')
    (statistics,) = dataset.pre_eval(OBJECTS.astype(np.int64), 0)
    # Two cars are one segment, of 8 and 16 pixels; the best component is the second.
    assert statistics.components.segment_ious[0] == pytest.approx([1, 16 / 24])
    ((_, labels),) = dataset.pre_eval(CLASSES, 0)
    assert labels.segment_ious[0] == pytest.approx([1, 1])


def test_base_config(root, request):
    path = request.config.rootpath / 'configs/_base_/datasets/voc12_regions.py'
    config = Config.fromfile(path)
    dataset = build_dataset({**config.data.test, 'data_root': str(root), 'test_mode': True})
    assert dataset[0]['img'][0].data.shape == (3, 8, 12)
    (statistics,) = dataset.pre_eval(OBJECTS.astype(np.int64), 0)
    assert statistics.components.segment_ious[0].tolist() == [1, 1, 1]
    train = {**config.data.train, 'data_root': str(root), 'split': SPLIT}
    assert build_dataset(train)[0]['img'].data.shape == (3, 320, 320)


def test_missing_files_are_counted_and_named(root):
    (root / SPLIT).write_text('2007_000001\n2007_000004\n2007_000005\n')
    with pytest.raises(FileNotFoundError, match=r'2 of 3 .*000004\.jpg, .*000005\.jpg$'):
        build(root)
    (root / SPLIT).write_text('\n')
    with pytest.raises(ValueError, match=r'val\.txt lists no image'):
        build(root)
    (root / SPLIT).unlink()
    with pytest.raises(FileNotFoundError, match=r'no split file .*val\.txt'):
        build(root)


def test_missing_masks_are_counted_and_named(root):
    (root / 'SegmentationObject/2007_000002.png').unlink()
    with pytest.raises(ValueError, match=r'1 of 2 .*SegmentationObject/2007_000002\.png$'):
        build(root).pre_eval(OBJECTS, 0)


def test_damaged_masks_are_reported(root):
    path = root / 'SegmentationObject/2007_000001.png'
    whole = path.read_bytes()
    for content in (b'', b'no PNG', whole[:60]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r'2007_000001\.png cannot be read as a mask'):
            build(root).pre_eval(OBJECTS, 0)
    Image.new('RGB', (12, 8)).save(path)
    with pytest.raises(ValueError, match=r"2007_000001\.png is not a mask: .*got 'RGB'"):
        build(root).pre_eval(OBJECTS, 0)


def test_images_without_an_annotated_pixel_are_no_figures(root):
    for path in (root / 'SegmentationObject').iterdir():
        save_mask(path, np.full_like(OBJECTS, 255))
    dataset = build(root)
    statistics = dataset.pre_eval([np.zeros((8, 12), dtype=int)] * 2, [0, 1])
    with pytest.raises(UserError, match='none of 2 images has an annotated pixel'):
        dataset.evaluate(statistics)
    with pytest.raises(UserError, match='none of 2 images has an annotated pixel'):
        dataset.evaluate([hierarchy_of_one_region()] * 2)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'2007_000001\n2007_000001\n', 'lists 1 names twice: 2007_000001'),
        (b'2007_000001\n\xe9\n', 'is no text in UTF-8'),
    ],
)
def test_splits_of_other_kinds_are_named(root, content, message):
    (root / SPLIT).write_bytes(content)
    with pytest.raises(ValueError, match=rf'val\.txt {message}'):
        build(root)


def test_a_byte_order_mark_is_no_part_of_a_name(root):
    (root / SPLIT).write_bytes(b'\xef\xbb\xbf2007_000001\r\n2007_000002')
    assert [info['filename'] for info in build(root).img_infos] == [
        '2007_000001.jpg',
        '2007_000002.jpg',
    ]

import numpy as np
import pytest
from PIL import Image

from dynaseg.mmseg.datasets import Cityscapes27Dataset

PIPELINE = [{'type': 'LoadImage'}, {'type': 'Collect', 'keys': ['img'], 'meta_keys': []}]


@pytest.fixture
def root(tmp_path):
    """Two images of two cities in train, three of one in val, and one without a mask in test."""
    rng = np.random.default_rng(0)
    for subset, city, number in [
        ('train', 'ulm', 1),
        ('train', 'aachen', 1),
        ('val', 'bonn', 1),
        ('val', 'bonn', 2),
        ('val', 'bonn', 3),
        ('test', 'berlin', 1),
    ]:
        name = f'{city}_{number:06d}_000019'
        image = tmp_path / f'leftImg8bit/{subset}/{city}/{name}_leftImg8bit.png'
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 32, 3), dtype=np.uint8)).save(image)
        if subset != 'test':
            mask = tmp_path / f'gtFine/{subset}/{city}/{name}_gtFine_labelIds.png'
            mask.parent.mkdir(parents=True, exist_ok=True)
            ids = rng.integers(0, 34, (16, 32), dtype=np.uint8)
            ids[0, 0] = 255  # a number plate
            Image.fromarray(ids).save(mask)
    return tmp_path


def names(dataset):
    return [info['filename'].split('/')[-1][:-26] for info in dataset.img_infos]


def test_images_of_subsets_are_found(root):
    assert names(Cityscapes27Dataset([], 'train', str(root))) == ['aachen_000', 'ulm_000']
    both = Cityscapes27Dataset([], ('test', 'train'), str(root))
    assert names(both) == ['berlin_000', 'aachen_000', 'ulm_000']
    assert len(Cityscapes27Dataset([], 'val', str(root), test_mode=True)) == 3
    image = Cityscapes27Dataset(PIPELINE, 'train', str(root))[0]['img']
    assert image.shape == (16, 32, 3)


def test_ids_become_the_27_classes(root):
    dataset = Cityscapes27Dataset([], 'val', str(root), test_mode=True)
    path = root / 'gtFine/val/bonn/bonn_000002_000019_gtFine_labelIds.png'
    ids = np.asarray(Image.open(path)).astype(int)
    expected = np.where((ids >= 7) & (ids <= 33), ids - 7, 255)
    assert np.array_equal(dataset.read_classes(1), expected)
    assert len(dataset.CLASSES) == len(dataset.PALETTE) == 27
    assert [dataset.CLASSES[i - 7] for i in (7, 11, 23, 26, 33)] == [
        'road',
        'building',
        'sky',
        'car',
        'bicycle',
    ]
    labels = [
        np.where(dataset.read_classes(index) == 255, 3, (dataset.read_classes(index) + 5) % 27)
        for index in range(3)
    ]
    figures = dataset.evaluate(labels, logger='silent')
    assert figures['mIoU'] == figures['aAcc'] == 1


def test_evaluation_on_crops(root):
    dataset = Cityscapes27Dataset(PIPELINE, 'val', str(root), evaluation_crop=16, test_mode=True)
    whole = Cityscapes27Dataset(PIPELINE, 'val', str(root), test_mode=True)
    assert np.array_equal(dataset.read_classes(0), whole.read_classes(0)[:, 8:24])
    assert dataset[0]['img'].shape == (16, 16, 3)


def test_what_is_wrong_is_said(root):
    with pytest.raises(ValueError, match=r"subset must be among \('train', .*got 'eval'"):
        Cityscapes27Dataset([], 'eval', str(root))
    with pytest.raises(FileNotFoundError, match='leftImg8bit/train_extra has no images CITY/'):
        Cityscapes27Dataset([], 'train_extra', str(root))
    with pytest.raises(FileNotFoundError, match=r'1 of 1 images have no mask in .*gtFine: test/b'):
        Cityscapes27Dataset([], 'test', str(root), test_mode=True)
    path = root / 'gtFine/val/bonn/bonn_000001_000019_gtFine_labelIds.png'
    Image.fromarray(np.full((16, 32), 40, np.uint8)).save(path)
    dataset = Cityscapes27Dataset([], 'val', str(root), test_mode=True)
    with pytest.raises(ValueError, match=rf'{path.name} has ids \[40\]: expected ids of Citysc'):
        dataset.read_classes(0)

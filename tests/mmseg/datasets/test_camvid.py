import numpy as np
import pytest
from PIL import Image

from dynaseg.mmseg.datasets import CamVidDataset, camvid


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Five images and their masks, of which three are for training."""
    monkeypatch.setattr(camvid, 'NUM_IMAGES', {'train': 5, 'val': 1, 'test': 0})
    monkeypatch.setattr(camvid, 'NUM_LAST', 2)
    for folder in ('train', 'trainannot'):
        (tmp_path / folder).mkdir()
    rng = np.random.default_rng(0)
    for name in 'cabed':
        Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).save(
            tmp_path / f'train/{name}.jpg'
        )
        Image.fromarray(rng.integers(0, 12, (6, 8), dtype=np.uint8)).save(
            tmp_path / f'trainannot/{name}.png'
        )
    return tmp_path


def names(dataset):
    return [info['filename'] for info in dataset.img_infos]


def test_split_is_by_file_name(root):
    assert names(CamVidDataset([], 'train', str(root))) == ['a.jpg', 'b.jpg', 'c.jpg']
    assert names(CamVidDataset([], 'val', str(root), test_mode=True)) == ['d.jpg', 'e.jpg']


def test_masks_evaluate_and_void_does_not_count(root):
    dataset = CamVidDataset([], 'val', str(root), test_mode=True)
    truth = [np.asarray(Image.open(root / f'trainannot/{name}.png')) for name in 'de']
    shuffled = [np.where(labels == 11, 3, (labels + 4) % 11) for labels in truth]
    figures = dataset.evaluate(shuffled)
    assert figures['mIoU'] == figures['aAcc'] == 1
    assert len(dataset.CLASSES) == len(dataset.PALETTE) == 11


def test_training_needs_no_masks(root):
    for mask in (root / 'trainannot').iterdir():
        mask.unlink()
    assert len(CamVidDataset([], 'train', str(root))) == 3
    with pytest.raises(FileNotFoundError, match=r'2 of 2 images have no mask .* d, e'):
        CamVidDataset([], 'val', str(root), test_mode=True)


def test_wrong_data_are_errors_that_say_what_was_expected(root):
    with pytest.raises(ValueError, match=r"subset must be one of .* in split 'last67', got 'test'"):
        CamVidDataset([], 'test', str(root))
    Image.fromarray(np.full((6, 8), 40, np.uint8)).save(root / 'trainannot/d.png')
    dataset = CamVidDataset([], 'val', str(root), test_mode=True)
    with pytest.raises(ValueError, match=r'd\.png: expected classes 0 to 11, found 40'):
        dataset.evaluate([np.zeros((6, 8), int)] * 2)
    (root / 'train/a.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r"has 4 images .* expected CamVid's 5 train"):
        CamVidDataset([], 'train', str(root))


@pytest.mark.parametrize(
    ('split', 'train', 'test'),
    [
        ('last67', range(300), range(300, 367)),
        ('dev67', range(233), range(233, 300)),
        ('0001TP', range(62, 367), range(0, 62, 2)),
        ('0006R0', [*range(62), *range(163, 367)], range(62, 163, 2)),
        ('0016E5', range(163), range(163, 367, 2)),
    ],
)
def test_splits_of_the_training_images(split, train, test):
    sequences = ['0001TP'] * 62 + ['0006R0'] * 101 + ['0016E5'] * 204
    names = [f'{sequence}_{index:03}' for index, sequence in enumerate(sequences)]
    for subset, expected in (('train', train), ('val', test)):
        chosen = camvid.choose_subset(names, subset, split)
        assert [int(name[-3:]) for name in chosen] == list(expected)


def test_the_standard_split_has_a_folder_for_each_subset(root, monkeypatch):
    with pytest.raises(ValueError, match=r"split must be one of .*, got 'mine'"):
        CamVidDataset([], 'train', str(root), split='mine')
    monkeypatch.setattr(camvid, 'NUM_IMAGES', {'train': 5, 'val': 5, 'test': 4})
    for folder in ('', 'annot'):
        (root / f'train{folder}').rename(root / f'test{folder}')
    with pytest.raises(FileNotFoundError, match=r"test has 5 images .* expected CamVid's 4 test"):
        CamVidDataset([], 'test', str(root), split='standard')
    monkeypatch.setitem(camvid.NUM_IMAGES, 'test', 5)
    dataset = CamVidDataset([], 'test', str(root), test_mode=True, split='standard')
    assert names(dataset) == ['a.jpg', 'b.jpg', 'c.jpg', 'd.jpg', 'e.jpg']
    assert dataset.read_classes(0).shape == (6, 8)

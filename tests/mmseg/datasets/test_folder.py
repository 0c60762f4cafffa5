import numpy as np
import pytest
from mmcv import Config
from mmseg.datasets import build_dataset
from PIL import Image

from dynaseg.io.writing import read_label_map
from dynaseg.mmseg.datasets.folder import ImageFolderDataset

NAMES = ['a.JPG', 'a.png', 'b/c.jpeg', 'b/d e.TIF', 'b/x/f.webp', 'g.bmp', 'h.tiff']


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / 'photos'
    for number, name in enumerate([*NAMES, '.hidden/i.jpg', '.j.jpg']):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (20, 10), (number, 0, 0)).save(path)
    (folder / 'notes.txt').write_text('not an image')
    return folder


def test_finds_images_of_every_format_below_the_folder(folder):
    dataset = ImageFolderDataset([], str(folder), test_mode=True)
    assert [info['filename'] for info in dataset.img_infos] == NAMES


def test_takes_evenly_spaced_images(folder):
    dataset = ImageFolderDataset([], folder.name, max_images=3, data_root=str(folder.parent))
    assert [info['filename'] for info in dataset.img_infos] == ['a.JPG', 'b/c.jpeg', 'b/x/f.webp']
    with pytest.raises(ValueError, match='max_images must be at least 1, got 0'):
        ImageFolderDataset([], str(folder), max_images=0)


def test_loads_every_image_for_training_and_testing(folder, request):
    config = Config.fromfile(request.config.rootpath / 'configs/_base_/datasets/image_folder.py')
    train = build_dataset({**config.data.train, 'img_dir': str(folder)})
    test = build_dataset({**config.data.test, 'img_dir': str(folder), 'test_mode': True})
    for index in range(len(NAMES)):
        assert train[index]['img'].data.shape == (3, 320, 320)
        assert test[index]['img'][0].data.shape == (3, 10, 20)


def test_writes_label_maps_losslessly(folder, tmp_path):
    dataset = ImageFolderDataset([], str(folder), test_mode=True)
    rng = np.random.default_rng(0)
    ends = [1, 2, 100, 256, 257, 65536, 2**24]
    results = [rng.integers(0, end, (10, 20)) for end in ends]
    for labels, end in zip(results, ends, strict=True):
        labels[0, 0] = end - 1
    paths = dataset.format_results(results, str(tmp_path / 'out'))
    assert len(set(paths)) == len(NAMES)  # a.JPG and a.png have label maps of their own
    for path, labels in zip(paths, results, strict=True):
        np.testing.assert_array_equal(read_label_map(path), labels)
    assert [p.suffix for p in (tmp_path / 'out').rglob('*.*')] == ['.png'] * len(NAMES)


def test_writes_the_label_map_of_the_image_with_the_index(folder, tmp_path):
    dataset = ImageFolderDataset([], str(folder), test_mode=True)
    (path,) = dataset.format_results([np.zeros((10, 20), int)], str(tmp_path), indices=[3])
    assert path == str(tmp_path / 'b/d e.TIF.png')


@pytest.mark.parametrize('value', [-1, 2**24])
def test_labels_that_fit_no_png_are_refused(folder, tmp_path, value):
    dataset = ImageFolderDataset([], str(folder), test_mode=True)
    with pytest.raises(ValueError, match=r'a\.JPG\.png: labels must lie in 0 to 16777215'):
        dataset.format_results([np.full((10, 20), value)], str(tmp_path / 'out'), [0])
    assert not (tmp_path / 'out').exists()


def test_evaluation_is_refused(folder):
    dataset = ImageFolderDataset([], str(folder), test_mode=True)
    for evaluate in (
        lambda: dataset.pre_eval([np.zeros((10, 20), int)], [0]),
        lambda: dataset.evaluate([np.zeros((10, 20), int)], metric='mIoU'),
    ):
        with pytest.raises(
            ValueError, match=r'photos: ImageFolderDataset has no labels .*--show-dir'
        ):
            evaluate()


def test_missing_folder_and_folder_without_images_are_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no image folder .*photos'):
        ImageFolderDataset([], str(tmp_path / 'photos'))
    (tmp_path / 'notes.txt').touch()
    with pytest.raises(FileNotFoundError, match=r'holds no images \(\.jpg .*\.heif\)'):
        ImageFolderDataset([], str(tmp_path))

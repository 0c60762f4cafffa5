import numpy as np
import pytest
from mmcv import Config
from mmseg.datasets import build_dataset
from PIL import Image

from dynaseg.io.writing import read_label_map
from dynaseg.mmseg.datasets.folder import ImageFolderDataset, LabelledFolderDataset

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


def test_takes_the_images_of_a_split_and_of_a_suffix(folder, tmp_path):
    split = tmp_path / 'split.txt'
    split.write_bytes('\ufeffh\r\n\r\nb/d e\r\na.png\r\n'.encode())
    dataset = ImageFolderDataset([], str(folder), split=str(split))
    assert [info['filename'] for info in dataset.img_infos] == ['a.png', 'b/d e.TIF', 'h.tiff']
    dataset = ImageFolderDataset([], str(folder), img_suffix='.tiff')
    assert [info['filename'] for info in dataset.img_infos] == ['h.tiff']


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('h\nz.png', r'split\.txt lists images that are not in .*photos: z\.png'),
        ('a', r'split\.txt: several images in .*photos are a'),
        ('h\nh', r'split\.txt lists 1 names twice: h'),
        ('h\nh.tiff', r'split\.txt lists images more than once: h\.tiff'),
        ('', r'split\.txt lists no image'),
    ],
)
def test_splits_are_checked(folder, tmp_path, content, message):
    (tmp_path / 'split.txt').write_text(content)
    with pytest.raises(ValueError, match=message):
        ImageFolderDataset([], str(folder), split=str(tmp_path / 'split.txt'))
    with pytest.raises(FileNotFoundError, match=r'absent\.txt'):
        ImageFolderDataset([], str(folder), split=str(tmp_path / 'absent.txt'))


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


@pytest.fixture
def labelled(tmp_path):
    """Two images with masks of three classes and a pixel without a label."""
    for name in ('a.jpg', 'b/c.PNG'):
        for kind in ('images', 'masks'):
            (tmp_path / kind / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (4, 3)).save(tmp_path / 'images' / name)
        mask = np.array([[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 2, 255]], dtype=np.uint8)
        Image.fromarray(mask).save((tmp_path / 'masks' / name).with_suffix('.png'))
    return tmp_path


def build_labelled(folder, **changes):
    names = {'classes': ['wall', 'door', 'floor'], 'img_dir': 'images', 'ann_dir': 'masks'}
    return LabelledFolderDataset([], data_root=str(folder), **{**names, **changes})


def test_own_masks_are_evaluated_under_their_names(labelled):
    dataset = build_labelled(labelled, test_mode=True)
    clusters = np.array([[5, 5, 1, 1], [5, 5, 0, 0], [5, 5, 0, 9]])
    figures = dataset.evaluate(dataset.pre_eval([clusters, clusters], [0, 1]))
    assert figures['mIoU'] == 1
    assert {'IoU.wall', 'IoU.door', 'IoU.floor'} < set(figures)


def test_pixels_without_a_label_may_have_a_value_beside_zero(labelled):
    mask = np.array([[0, 1, 2, 3], [99, 99, 1, 1], [3, 3, 3, 255]], np.uint8)
    Image.fromarray(mask).save(labelled / 'masks/a.png')
    dataset = build_labelled(labelled, test_mode=True, ignore_index=99, reduce_zero_label=True)
    expected = [[99, 0, 1, 2], [99, 99, 0, 0], [2, 2, 2, 99]]
    np.testing.assert_array_equal(dataset.read_classes(0), expected)


def test_training_needs_no_mask_of_ones_own(labelled):
    (labelled / 'masks' / 'a.png').unlink()
    assert len(build_labelled(labelled)) == 2
    with pytest.raises(FileNotFoundError, match=r'1 of 2 images have no mask in .*masks: a\.png'):
        build_labelled(labelled, test_mode=True)


def test_classes_must_be_named_and_hold_the_values_of_masks(labelled):
    with pytest.raises(ValueError, match='classes must be the names of the classes, got None'):
        build_labelled(labelled, classes=None)
    dataset = build_labelled(labelled, classes=['wall', 'door'], test_mode=True)
    with pytest.raises(ValueError, match=r'masks/a\.png'):
        dataset.pre_eval([np.zeros((3, 4), dtype=int)], [0])


def test_images_of_one_mask_are_refused(labelled):
    Image.new('RGB', (4, 3)).save(labelled / 'images' / 'a.png')
    with pytest.raises(ValueError, match=r'several images have the same mask: a\.png'):
        build_labelled(labelled)

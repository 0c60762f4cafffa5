"""Training, tests and the segmentation of photographs see the same pixels of the same files."""

import numpy as np
import pytest
import torch
from mmcv import Config, ConfigDict
from mmcv.parallel import collate, scatter
from mmseg.datasets import build_dataset
from mmseg.models import build_segmentor
from PIL import Image

from dynaseg.io.reading import ImageReadError, read_image
from dynaseg.mmseg.datasets import ImageFolderDataset, LoadImage

SIZE = (24, 36)
FILES = (
    '16-bit.tif',
    'alpha.png',
    'float.tif',
    'grey.png',
    'grey16.png',
    'palette.png',
    'turned.jpg',
)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Odd files whose images are 24 x 36 as they are meant to be seen."""
    folder = tmp_path_factory.mktemp('odd')
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (3, 4), dtype=np.uint8).repeat(8, axis=0).repeat(9, axis=1)
    colours = rng.integers(0, 256, (3, 4, 4), dtype=np.uint8).repeat(8, axis=0).repeat(9, axis=1)
    Image.fromarray(grey.astype(np.uint16) * 200).save(folder / '16-bit.tif')
    Image.fromarray(colours).save(folder / 'alpha.png')
    floats = grey.astype(np.float32) / 200 - 0.3
    floats[2, 3] = np.nan
    Image.fromarray(floats).save(folder / 'float.tif')
    Image.fromarray(grey).save(folder / 'grey.png')
    Image.fromarray(grey.astype(np.uint16) * 12).save(folder / 'grey16.png')
    Image.fromarray(colours[..., :3]).quantize(8).save(folder / 'palette.png')
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(colours[..., :3]).copy()).save(folder / 'turned.jpg', exif=exif)
    return folder


@pytest.fixture(scope='module')
def config(request):
    path = request.config.rootpath / 'configs/_base_/datasets/image_folder.py'
    return Config.fromfile(path)


@pytest.fixture(scope='module')
def training(folder, request):
    """The data set of a training on whole images, without flips."""
    base = Config.fromfile(request.config.rootpath / 'configs/_base_/datasets/whole_images.py')
    pipeline = base.data.train.pipeline
    (flip,) = [step for step in pipeline if step.type == 'RandomFlip']
    flip.prob = 0.0
    return ImageFolderDataset(pipeline, str(folder))


@pytest.fixture(scope='module')
def testing(folder, config):
    return build_dataset({**config.data.test, 'img_dir': str(folder), 'test_mode': True})


def build(**test_cfg):
    torch.manual_seed(0)
    config = {
        'type': 'DynaSeg',
        'backbone': {'type': 'PlainCNN', 'channels': 8, 'num_blocks': 1},
        'decode_head': {'type': 'ResponseHead', 'in_channels': 8, 'num_classes': 8},
        'test_cfg': test_cfg,
    }
    return build_segmentor(ConfigDict(config)).eval()


def test_there_are_the_files(training, testing):
    for dataset in (training, testing):
        assert [info['filename'] for info in dataset.img_infos] == list(FILES)


@pytest.mark.parametrize('index', range(len(FILES)), ids=FILES)
def test_pixels_are_those_that_photographs_have(folder, training, testing, index):
    expected = read_image(folder / FILES[index])
    assert expected.shape == (*SIZE, 3)
    assert expected.std() > 10
    bgr = expected[..., ::-1].transpose(2, 0, 1)
    for img in (training[index]['img'].data, testing[index]['img'][0].data):
        assert img.dtype == torch.uint8
        assert np.array_equal(img, bgr)


@pytest.mark.parametrize('index', range(len(FILES)), ids=FILES)
def test_networks_see_the_same_in_training_tests_and_photographs(folder, training, testing, index):
    model, seen = build(), []
    model.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    batch = collate([training[index]], samples_per_gpu=1)
    (inputs,) = scatter(batch, [-1])
    model(return_loss=True, **inputs)
    (inputs,) = scatter(collate([testing[index]], samples_per_gpu=1), [-1])
    with torch.no_grad():
        (labels,) = model(return_loss=False, **inputs)
    (photograph,) = model.make_predictor()([read_image(folder / FILES[index])])
    assert len(seen) == 3
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], seen[2])
    assert np.array_equal(photograph.labels, labels)


def test_fitted_images_are_those_that_photographs_have(folder, testing):
    model = build(fit={'iterations': 2, 'min_clusters': 'silhouette'})
    for index in (FILES.index('float.tif'), FILES.index('turned.jpg')):
        (inputs,) = scatter(collate([testing[index]], samples_per_gpu=1), [-1])
        (labels,) = model(return_loss=False, **inputs)
        (photograph,) = model.make_predictor()([read_image(folder / FILES[index])])
        assert np.array_equal(labels, photograph.labels)


def load(prefix, name):
    return LoadImage()({'img_prefix': prefix, 'img_info': {'filename': name}, 'kept': 1})


def test_results_say_what_mmsegmentation_expects(folder):
    results = load(str(folder), 'grey.png')
    assert results['filename'] == str(folder / 'grey.png')
    assert results['ori_filename'] == 'grey.png'
    assert results['img_shape'] == results['ori_shape'] == results['pad_shape'] == (*SIZE, 3)
    assert results['img'].flags.c_contiguous
    assert results['scale_factor'] == 1
    assert results['kept'] == 1
    assert (results['img_norm_cfg']['std'] == 1).all()
    assert np.array_equal(load(None, str(folder / 'grey.png'))['img'], results['img'])


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / 'a.png').write_bytes(b'no image')
    with pytest.raises(ImageReadError, match=r'a\.png: not a JPEG'):
        load(str(tmp_path), 'a.png')
    with pytest.raises(ImageReadError, match=r'absent\.png'):
        load(str(tmp_path), 'absent.png')

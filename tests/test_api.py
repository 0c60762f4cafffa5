import numpy as np
import pytest
import torch
from PIL import Image

import dynaseg
from dynaseg.api import DEFAULT_FIT, load_predictor, segment_image
from dynaseg.core import LabelRefinement, ResponseNetwork
from dynaseg.io.reading import ImageReadError
from dynaseg.predictor import FittedPredictor


@pytest.fixture
def photo():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (5, 8, 3), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)


def weights(predictor):
    return torch.cat([value.flatten() for value in predictor.network.parameters()])


def test_an_array_and_its_file_have_the_same_segmentation(photo, tmp_path):
    Image.fromarray(photo).save(tmp_path / 'a.png')
    first = segment_image(photo, device='cpu')
    assert first.labels.shape == (20, 32)
    assert first.labels.dtype == np.int64
    assert np.array_equal(np.unique(first.labels), np.arange(first.labels.max() + 1))
    assert len(first.fit.losses) == first.fit.iterations + 1
    for path in (tmp_path / 'a.png', str(tmp_path / 'a.png')):
        again = segment_image(path, device='cpu')
        assert np.array_equal(again.labels, first.labels)
        assert again.fit.losses == first.fit.losses


def test_a_grey_array_is_the_picture_of_that_grey(photo):
    grey = photo[..., 0]
    expected = segment_image(np.repeat(grey[..., None], 3, axis=2), device='cpu')
    assert np.array_equal(segment_image(grey, device='cpu').labels, expected.labels)


def test_views_of_arrays_are_taken_and_left_as_they_were(photo):
    before = photo.copy()
    turned = photo[::-1, ::2]
    result = segment_image(turned, device='cpu')
    assert np.array_equal(result.labels, segment_image(turned.copy(), device='cpu').labels)
    assert np.array_equal(photo, before)


@pytest.mark.parametrize('shape', [(1, 1, 3), (1, 7, 3), (9, 1)])
def test_tiny_pictures(shape):
    assert segment_image(np.zeros(shape, np.uint8), device='cpu').labels.shape == shape[:2]


@pytest.mark.parametrize(
    'image',
    [
        np.zeros((4, 5, 3)),
        np.zeros((4, 5, 3), np.uint16),
        np.zeros((4, 5, 4), np.uint8),
        np.zeros((4, 5, 1), np.uint8),
        np.zeros((3,), np.uint8),
        np.zeros((1, 4, 5, 3), np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((4, 0), np.uint8),
    ],
    ids=lambda image: f'{image.dtype}{image.shape}',
)
def test_wrong_arrays_are_refused(image):
    with pytest.raises(ValueError, match=r'image must be uint8, \(H, W, 3\) or \(H, W\), got '):
        segment_image(image, device='cpu')


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / 'a.png').write_text('no picture')
    with pytest.raises(ImageReadError, match=r'a\.png: not a JPEG'):
        segment_image(tmp_path / 'a.png', device='cpu')
    with pytest.raises(ImageReadError, match=r'absent\.png'):
        segment_image(str(tmp_path / 'absent.png'), device='cpu')


def test_the_default_predictor_has_the_documented_settings():
    predictor, settings = load_predictor(device='cpu')
    assert isinstance(predictor, FittedPredictor)
    assert isinstance(predictor.network, ResponseNetwork)
    assert predictor.min_clusters == 'silhouette'
    fitter = predictor.fitter
    assert {name: getattr(fitter, name) for name in DEFAULT_FIT} == DEFAULT_FIT
    assert (fitter.loss.weighting, fitter.loss.mu) == ('fsf', 15)
    assert isinstance(fitter.refinement, LabelRefinement)
    assert settings['seed'] == 0


def test_the_seed_decides_the_weights_and_leaves_the_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    first = weights(load_predictor(device='cpu')[0])
    assert torch.equal(torch.rand(4), expected)
    assert torch.equal(first, weights(load_predictor(device='cpu', seed=0)[0]))
    other, settings = load_predictor(device='cpu', seed=1)
    assert not torch.equal(first, weights(other))
    assert settings['seed'] == 1


def test_unfit_settings_are_refused(photo):
    with pytest.raises(ValueError, match='seed must be at least 0, got -1'):
        segment_image(photo, seed=-1)
    with pytest.raises(ValueError, match="device 'nonsense'"):
        segment_image(photo, device='nonsense')
    with pytest.raises(FileNotFoundError, match=r"no config 'nowhere\.py'"):
        segment_image(photo, config='nowhere.py', device='cpu')


def test_the_default_config_says_what_the_default_is(photo):
    plain, _ = load_predictor(device='cpu')
    configured, _ = load_predictor('segment.py', device='cpu')
    assert plain.min_clusters == configured.min_clusters
    settings, others = (dict(vars(one.fitter)) for one in (plain, configured))
    for one in (settings, others):
        one['loss'] = one['loss'].extra_repr()
        one['refinement'] = vars(one['refinement'])
    assert settings == others
    shapes = [[value.shape for value in one.network.parameters()] for one in (plain, configured)]
    assert sorted(shapes[0]) == sorted(shapes[1])
    labels = segment_image(photo, config='segment.py', device='cpu').labels
    assert labels.shape == (20, 32)


def test_the_package_offers_its_functions():
    assert dynaseg.segment_image is segment_image
    assert all(hasattr(dynaseg, name) for name in dynaseg.__all__)
    with pytest.raises(AttributeError, match="'dynaseg' has no attribute 'segment_pictures'"):
        _ = dynaseg.segment_pictures

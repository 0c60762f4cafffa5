import numpy as np
import pytest
import torch
from PIL import Image

import dynaseg
from dynaseg.api import load_predictor, segment_image, segment_images
from dynaseg.core.labels import connected_components
from dynaseg.guided import cut_out
from dynaseg.io.reading import ImageReadError
from dynaseg.mmseg.configs import load_config
from dynaseg.predictor import RegionPredictor


@pytest.fixture
def photo():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (5, 8, 3), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)


def weights(predictor):
    return torch.cat(
        [value.flatten() for network in predictor.networks for value in network.parameters()]
    )


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
        assert np.array_equal(again.regions, first.regions)
        assert again.fit.losses == first.fit.losses


def test_a_grey_array_is_the_picture_of_that_grey(photo):
    grey = photo[..., 0]
    expected = segment_image(np.repeat(grey[..., None], 3, axis=2), device='cpu')
    result = segment_image(grey, device='cpu')
    assert np.array_equal(result.labels, expected.labels)
    assert np.array_equal(result.regions, expected.regions)


def test_views_of_arrays_are_taken_and_left_as_they_were(photo):
    before = photo.copy()
    turned = photo[::-1, ::2]
    result = segment_image(turned, device='cpu')
    assert np.array_equal(result.labels, segment_image(turned.copy(), device='cpu').labels)
    assert np.array_equal(photo, before)


@pytest.mark.parametrize('shape', [(1, 1, 3), (1, 7, 3), (9, 1)])
def test_tiny_pictures(shape):
    result = segment_image(np.zeros(shape, np.uint8), device='cpu')
    assert result.labels.shape == result.regions.shape == shape[:2]


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


def test_what_is_no_array_is_named(photo):
    with pytest.raises(ValueError, match='image must be an array or a path, got list'):
        segment_image(photo.tolist(), device='cpu')


def test_outputs_need_a_folder(photo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo).save('a.png')
    with pytest.raises(ValueError, match='the output folder has no name'):
        segment_images('a.png', '', device='cpu')
    with pytest.raises(ValueError, match='the output folder has no name'):
        cut_out('a.png', ['1,1'], ['2,2'], out_dir='')
    with pytest.raises(ValueError, match=r'a\.png is a file: the outputs need a folder'):
        segment_images('a.png', 'a.png', device='cpu')
    assert [path.name for path in tmp_path.iterdir()] == ['a.png']


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / 'a.png').write_text('no picture')
    with pytest.raises(ImageReadError, match=r'a\.png: not a JPEG'):
        segment_image(tmp_path / 'a.png', device='cpu')
    with pytest.raises(ImageReadError, match=r'absent\.png'):
        segment_image(str(tmp_path / 'absent.png'), device='cpu')


def test_regions_are_cut_from_the_hierarchy(photo):
    plain = segment_image(photo, device='cpu', min_area=0.0)
    assert np.array_equal(plain.regions, plain.hierarchy.regions())
    for number in (1, 4, 9):
        result = segment_image(photo, device='cpu', regions=number, min_area=0.0)
        assert np.array_equal(result.regions, plain.hierarchy.cut_to(number))
        assert np.array_equal(np.unique(result.regions), np.arange(number))
    fine, coarse = (
        segment_image(photo, device='cpu', detail=detail).regions for detail in (1.0, 0.0)
    )
    assert coarse.max() <= plain.regions.max() <= fine.max()
    assert coarse.max() < fine.max()


def test_small_regions_are_none(photo):
    regions = segment_image(photo, device='cpu', detail=1.0, min_area=0.1).regions
    assert np.bincount(regions.ravel()).min() >= 0.1 * regions.size


@pytest.mark.parametrize(
    ('choice', 'message'),
    [
        ({'detail': 1.5}, 'detail must be from 0'),
        ({'detail': '0.5'}, "detail must be from 0 .*got '0.5'"),
        ({'regions': 0}, 'regions must be a positive integer, got 0'),
        ({'regions': 2.5}, 'regions must be a positive integer, got 2.5'),
        ({'min_area': 1.0}, 'min_area must be a share of the image'),
        ({'min_area': 'x'}, 'min_area must be a share of the image'),
        ({'seed': 1.5}, 'seed must be an integer'),
    ],
)
def test_unfit_choices_of_regions_are_refused(photo, choice, message):
    with pytest.raises(ValueError, match=message):
        segment_image(photo, device='cpu', **choice)


def test_choices_of_regions_may_be_numbers_of_numpy(photo, tmp_path):
    Image.fromarray(photo).save(tmp_path / 'a.png')
    (record,) = segment_images(
        tmp_path / 'a.png',
        tmp_path / 'out',
        device='cpu',
        seed=np.int64(1),
        regions=np.int64(3),
        detail=np.float32(0.5),
        min_area=np.float64(0.001),
    )
    assert record['regions'] == 3
    options = {'seed': 1, 'regions': 3, 'min_area': 0.001, 'detail': 0.5}
    assert segment_images(tmp_path / 'a.png', tmp_path / 'out', device='cpu', **options) == [record]


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
    message = r'seed must be an integer of at least 0 and below 2\^63, got -1'
    with pytest.raises(ValueError, match=message):
        segment_image(photo, seed=-1)
    with pytest.raises(ValueError, match="device 'nonsense'"):
        segment_image(photo, device='nonsense')
    with pytest.raises(FileNotFoundError, match=r"no config 'nowhere\.py'"):
        segment_image(photo, config='nowhere.py', device='cpu')


@pytest.mark.parametrize('seed', [0, 3])
def test_the_default_config_says_what_the_default_is(photo, seed):
    plain, settings = load_predictor(device='cpu', seed=seed)
    configured, _ = load_predictor('segment.py', device='cpu', seed=seed)
    assert settings['seed'] == seed
    assert isinstance(plain, RegionPredictor)
    assert (plain.channels, plain.settings) == (configured.channels, configured.settings)
    fitter, other = (dict(vars(one.fitter)) for one in (plain, configured))
    for one in (fitter, other):
        one['loss'] = one['loss'].extra_repr()
    assert fitter == other
    assert torch.equal(weights(plain), weights(configured))
    (one,), (other,) = plain([photo]), configured([photo])
    assert np.array_equal(one.labels, other.labels)
    assert np.array_equal(one.hierarchy.leaves, other.hierarchy.leaves)
    assert np.array_equal(one.hierarchy.altitudes, other.hierarchy.altitudes)


def test_clusters_alone_have_regions_too(photo):
    result = segment_image(photo, 'fsf_plain-cnn_fit-fast_folder.py', device='cpu', min_area=0.0)
    assert np.array_equal(result.regions, connected_components(result.labels))
    assert np.array_equal(result.regions, result.hierarchy.cut(result.hierarchy.altitude(0)))


def test_clusters_alone_have_no_detail(photo, tmp_path):
    Image.fromarray(photo).save(tmp_path / 'a.png')
    config = load_config('fsf_plain-cnn_fit-fast_folder.py')
    with pytest.raises(ValueError, match='detail is for hierarchies of regions'):
        segment_image(photo, config, device='cpu', detail=0.5)
    with pytest.raises(ValueError, match='detail is for hierarchies of regions'):
        segment_images(tmp_path / 'a.png', tmp_path / 'out', config, device='cpu', detail=0.5)
    assert not (tmp_path / 'out').exists()
    (record,) = segment_images(tmp_path / 'a.png', tmp_path / 'out', config, device='cpu')
    assert record['detail'] is None
    page = (tmp_path / 'out/index.html').read_text()
    assert 'data-detail=""' in page
    assert '<dt>Detail</dt>' not in page
    assert 'None' not in page


def test_the_package_offers_its_functions():
    assert dynaseg.segment_image is segment_image
    assert all(hasattr(dynaseg, name) for name in dynaseg.__all__)
    with pytest.raises(AttributeError, match="'dynaseg' has no attribute 'segment_pictures'"):
        _ = dynaseg.segment_pictures


def test_photographs_take_the_cpu_unless_a_device_is_named(photo, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    segment_image(photo)
    Image.fromarray(photo).save(tmp_path / 'a.png')
    (record,) = segment_images(tmp_path / 'a.png', tmp_path / 'out')
    assert 'error' not in record
    with pytest.raises(ValueError, match='workers are processes on a CPU, and cuda is used'):
        segment_images(tmp_path, tmp_path / 'out', device='cuda', workers=2)
    with pytest.raises(ValueError, match='workers are processes on a CPU, and cuda is used'):
        segment_images(tmp_path, tmp_path / 'out', 'fsf_plain-cnn_fit-fast_folder.py', workers=2)

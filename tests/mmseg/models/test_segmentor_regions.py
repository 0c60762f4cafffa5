import mmcv
import numpy as np
import pytest
import torch
from mmcv import ConfigDict
from mmseg.models import build_segmentor

import dynaseg.mmseg  # noqa: F401  (registers the models)
from dynaseg.core.channels import image_channels
from dynaseg.core.regions import PLAIN, RegionHierarchy, build_hierarchy
from dynaseg.core.regions.build import working_image
from dynaseg.core.regions.cues import soft_labels
from dynaseg.mmseg.errors import UserError
from dynaseg.mmseg.models.predictors import TrainedPredictor
from dynaseg.mmseg.scratch import initialise
from dynaseg.predictor import RegionPredictor

FIT = {'iterations': 3, 'fit_pixels': 200}


def build(regions, fit=FIT, in_channels=9):
    config = {
        'type': 'DynaSeg',
        'backbone': {'type': 'PlainCNN', 'in_channels': in_channels, 'channels': 8},
        'decode_head': {
            'type': 'ResponseHead',
            'in_channels': 8,
            'num_classes': 8,
            'loss_decode': {'type': 'DynaSegLoss', 'weighting': 'fsf'},
        },
        'test_cfg': {'fit': fit, 'regions': regions},
    }
    model = build_segmentor(ConfigDict(config)).eval()
    initialise(model, seed=3)
    return model


def make_photo(height=24, width=36):
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (height // 6, width // 6, 3)).repeat(6, axis=0).repeat(6, axis=1)
    return (blocks + rng.integers(-9, 10, blocks.shape)).clip(0, 255).astype(np.uint8)


def run(model, photo, **options):
    img = torch.from_numpy(photo).permute(2, 0, 1).flip(0)[None]
    shapes = dict.fromkeys(('ori_shape', 'img_shape', 'pad_shape'), photo.shape)
    with torch.no_grad():
        return model.forward_test([img], [[{**shapes, 'flip': False}]], **options)


def assert_same(one, other):
    assert np.array_equal(one.leaves, other.leaves)
    assert np.array_equal(one.parents, other.parents)
    np.testing.assert_allclose(one.altitudes, other.altitudes, rtol=1e-5)


def test_the_test_gives_the_hierarchy_of_the_photograph():
    model, photo = build({'num_fits': 2}), make_photo()
    assert isinstance(model.make_predictor(), RegionPredictor)
    (hierarchy,) = run(model, photo)
    assert isinstance(hierarchy, RegionHierarchy)
    assert hierarchy.leaves.shape == (24, 36)
    assert_same(hierarchy, model.make_predictor()([photo])[0].hierarchy)


def test_hierarchy_is_of_fits_from_several_seeds():
    model, photo = build({'num_fits': 3, 'max_pixels': 500}), make_photo()
    predictor = model.make_predictor()
    starts = [network.segmentor for network in predictor.networks]
    assert starts[0] is model
    for start, seed in zip(starts, (3, 1003, 2003), strict=True):
        initialise(model, seed)
        for name, value in model.state_dict().items():
            if start is not model:
                assert torch.equal(value, start.state_dict()[name])
    initialise(model, 3)
    channels = image_channels(working_image(photo, 500), 'texture')[None]
    fits = [model.segmentation.fitter.fit(one, channels)[0] for one in predictor.networks]
    soft = [soft_labels(fit.respond(channels)) for fit in fits]
    settings = model.segmentation.region_settings
    assert settings.max_pixels == 500
    assert_same(run(model, photo)[0], build_hierarchy(photo, soft, settings=settings))


def test_without_fit_the_hierarchy_is_of_the_trained_networks_probabilities():
    model, photo = build({}, fit=None, in_channels=3), make_photo()
    assert isinstance(model.make_predictor(), TrainedPredictor)
    (segmentation,) = model.make_predictor()([photo])
    with torch.no_grad():
        img = model.normalise(torch.from_numpy(photo).permute(2, 0, 1).flip(0)[None])
        soft = model.response(img).softmax(dim=1)
    assert_same(segmentation.hierarchy, build_hierarchy(photo, [soft[0].numpy()], settings=PLAIN))
    assert_same(run(model, photo)[0], segmentation.hierarchy)
    assert np.array_equal(segmentation.labels, soft.argmax(dim=1)[0])


def test_regions_are_drawn(tmp_path):
    model, photo = build({'num_fits': 1}), make_photo()
    model.CLASSES, model.PALETTE = ('one',), [[0, 0, 0]]  # of the data set: regions outnumber them
    result = run(model, photo)
    path = tmp_path / 'drawn.png'
    model.show_result(photo, result, opacity=1, out_file=str(path))
    drawn = mmcv.imread(str(path))
    colours = np.unique(drawn.reshape(-1, 3), axis=0)
    assert len(colours) == result[0].regions().max() + 1


def test_entries_of_a_cost_are_taken():
    settings = build({'cost': {'area_power': 0.2}}).segmentation.region_settings
    assert settings.cost.area_power == 0.2
    assert settings.cost.shape_power == PLAIN.cost.shape_power


@pytest.mark.parametrize(
    ('regions', 'fit', 'error', 'message'),
    [
        ({'channels': 'lab'}, FIT, ValueError, r'regions: channels must be one of .*got .lab'),
        ({'num_fits': 0}, FIT, ValueError, 'regions: num_fits must be a positive integer, got 0'),
        ({'num_fits': 1.5}, FIT, ValueError, 'num_fits must be a positive integer, got 1.5'),
        ({'max_pixels': 0}, FIT, ValueError, 'regions: max_pixels must be positive, got 0'),
        ({'detail': 1}, FIT, TypeError, "regions: .*'detail'"),
        ({'cost': {'width': 1}}, FIT, TypeError, "regions: cost: .*'width'"),
        ({}, FIT | {'min_clusters': 3}, ValueError, 'fit: min_clusters are not used with regions'),
    ],
)
def test_unfit_settings_are_errors_that_name_them(regions, fit, error, message):
    with pytest.raises(error, match=message):
        build(regions, fit)


def test_hierarchies_of_smaller_images_are_enlarged():
    model, photo = build({}), make_photo()
    img = torch.from_numpy(photo).permute(2, 0, 1).flip(0)[None]
    meta = {'img_shape': photo.shape, 'pad_shape': photo.shape, 'flip': False}
    (small,) = run(model, photo)
    with torch.no_grad():
        (large,) = model.forward_test([img], [[{**meta, 'ori_shape': (48, 72, 3)}]])
        assert np.array_equal(large.leaves, small.leaves.repeat(2, axis=0).repeat(2, axis=1))
        assert np.array_equal(large.parents, small.parents)
        with pytest.raises(UserError, match='is 18 x 12, and its regions were found at 36 x 24'):
            model.forward_test([img], [[{**meta, 'ori_shape': (12, 18, 3)}]])

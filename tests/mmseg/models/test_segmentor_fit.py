import mmcv
import numpy as np
import pytest
import torch
from mmcv import ConfigDict
from mmseg.models import build_segmentor

import dynaseg.mmseg  # noqa: F401  (registers the models)
from dynaseg.core import Fitter, LabelRefinement, estimate_num_clusters
from dynaseg.core.losses import DynaSegLoss
from dynaseg.mmseg.errors import UserError
from dynaseg.mmseg.models.inputs import refuse_normalised, to_image
from dynaseg.mmseg.models.predictors import TrainedPredictor
from dynaseg.predictor import FittedPredictor

FIT = {'iterations': 4, 'min_clusters': 2}


def build(fit=FIT, loss=None, **changes):
    torch.manual_seed(0)
    config = {
        'type': 'DynaSeg',
        'backbone': {'type': 'PlainCNN', 'channels': 8, 'num_blocks': 1},
        'decode_head': {
            'type': 'ResponseHead',
            'in_channels': 8,
            'num_classes': 8,
            'loss_decode': loss or {'type': 'DynaSegLoss'},
        },
        'test_cfg': {'fit': fit},
    }
    return build_segmentor(ConfigDict({**config, **changes})).eval()


def make_photo(height, width, seed=0):
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    return blocks.repeat(4, axis=0).repeat(4, axis=1)


def as_batch(photos, pad_to=None):
    """What the test pipeline makes of photographs: pixels, BGR, padded, with their metas."""
    height, width = pad_to or photos[0].shape[:2]
    img = torch.zeros(len(photos), 3, height, width, dtype=torch.uint8)
    metas = []
    for row, photo in enumerate(photos):
        height, width = photo.shape[:2]
        img[row, :, :height, :width] = torch.from_numpy(photo).permute(2, 0, 1).flip(0)
        shapes = {'ori_shape': photo.shape, 'img_shape': photo.shape}
        metas.append({**shapes, 'pad_shape': (*img.shape[2:], 3), 'flip': False})
    return img, metas


def label(model, photos, pad_to=None, **options):
    img, metas = as_batch(photos, pad_to)
    return model.forward_test([img], [metas], **options)


class Wrapped(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.backbone, self.head = model.backbone, model.decode_head

    def forward(self, img):
        return self.head(self.backbone(img))


@pytest.mark.parametrize('weighting', ['fsf', 'scf'])
def test_images_are_fitted_from_the_segmentors_weights(weighting):
    loss = {'type': 'DynaSegLoss', 'weighting': weighting, 'mu': 12, 'entropy_weight': 2.0}
    model, photo = build(loss=loss), make_photo(16, 24)
    (result,) = model.make_predictor()([photo])
    img, _ = as_batch([photo])
    fitter = Fitter(DynaSegLoss(weighting, 12, reduction='none'), iterations=4)
    (expected,) = fitter(Wrapped(model), model.normalise(img), 2)
    assert np.array_equal(result.labels, expected.labels)
    assert result.fit.losses == pytest.approx(expected.fit.losses, rel=1e-4)
    assert np.array_equal(label(model, [photo])[0], expected.labels)


def test_fitting_leaves_the_segmentor_unchanged():
    model = build()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    label(model, [make_photo(16, 24)])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not model.training
    assert not any('predictor' in name for name in before)  # each weight is held once


def test_image_of_a_batch_gets_what_it_gets_alone():
    model = build()
    photos = [make_photo(16, 24), make_photo(24, 16, 1), make_photo(16, 24, 2)]
    together = label(model, photos, pad_to=(28, 28))
    for labels, photo in zip(together, photos, strict=True):
        assert labels.shape == photo.shape[:2]
        assert np.array_equal(labels, label(model, [photo])[0])
        assert np.array_equal(labels, model.make_predictor()([photo])[0].labels)


def test_images_come_out_at_their_original_size():
    model, photo = build(), make_photo(16, 24)
    img, metas = as_batch([photo])
    metas[0]['ori_shape'] = (32, 48, 3)
    (small,) = model.forward_test([img], [metas], rescale=False)
    (large,) = model.forward_test([img], [metas])
    assert large.shape == (32, 48)
    assert large.dtype == np.int16
    assert np.array_equal(large, small.repeat(2, axis=0).repeat(2, axis=1))


def test_least_number_of_clusters_is_that_of_the_colours(monkeypatch):
    asked = []
    fit = Fitter.fit

    def note(self, networks, images, min_clusters):
        asked.extend(min_clusters)
        return fit(self, networks, images, min_clusters)

    monkeypatch.setattr(Fitter, 'fit', note)
    model = build({'iterations': 1, 'min_clusters': 'silhouette'})
    photo = make_photo(24, 24)
    model.make_predictor()([photo])
    label(model, [photo], pad_to=(28, 28))
    assert asked == [estimate_num_clusters(photo)[0]] * 2


@pytest.mark.parametrize('to_rgb', [True, False])
def test_fitting_sees_the_models_normalisation(to_rgb):
    norm = {'mean': [10.0, 20.0, 30.0], 'std': [40.0, 50.0, 60.0], 'to_rgb': to_rgb}
    model, photo = build(img_norm_cfg=norm), make_photo(16, 24)
    channels = photo if to_rgb else photo[..., ::-1]
    img = torch.from_numpy((channels - np.array(norm['mean'])) / np.array(norm['std'])).float()
    fitter = Fitter(DynaSegLoss(reduction='none'), iterations=4)
    (expected,) = fitter(Wrapped(model), img.permute(2, 0, 1)[None], 2)
    (result,) = model.make_predictor()([photo])
    assert result.fit.losses == pytest.approx(expected.fit.losses, rel=1e-4)


def test_settings_reach_the_fitter():
    settings = {'iterations': 7, 'lr': 0.3, 'momentum': 0.5, 'tol': 0.1, 'check_interval': 3}
    settings |= {'fit_pixels': 50, 'predict_scale': 2.0, 'predict_pixels': 90, 'bf16': True}
    settings |= {'min_region': 0.01}
    refine = {'radius': 3, 'eps': 0.1, 'rounds': 2}
    predictor = build({**settings, 'refine': refine, 'min_clusters': 4}).make_predictor()
    assert isinstance(predictor, FittedPredictor)
    assert {name: getattr(predictor.fitter, name) for name in settings} == settings
    assert isinstance(predictor.fitter.refinement, LabelRefinement)
    assert vars(predictor.fitter.refinement) == refine
    assert predictor.min_clusters == 4


def test_without_fit_images_are_labelled_as_trained():
    model, photo = build(fit=None), make_photo(16, 24)
    assert isinstance(model.make_predictor(), TrainedPredictor)
    img, _ = as_batch([photo])
    with torch.no_grad():
        expected = model.response(model.normalise(img)).argmax(1)[0]
        assert np.array_equal(label(model, [photo])[0], expected)


@pytest.mark.parametrize(
    ('fit', 'error', 'message'),
    [
        ({'iterations': -1}, ValueError, 'test_cfg.fit: iterations must be an integer of at least'),
        ({'iterations': 2.5}, ValueError, 'test_cfg.fit: iterations must be an integer .*got 2.5'),
        ({'steps': 3}, TypeError, "test_cfg.fit: .*'steps'"),
        ({'refine': {'eps': 0}}, ValueError, 'test_cfg.fit: refine: eps must be positive, got 0'),
        ({'refine': {'size': 4}}, TypeError, "test_cfg.fit: refine: .*'size'"),
        ({'min_clusters': 0}, ValueError, 'test_cfg.fit: min_clusters must be a positive integer'),
        ({'min_clusters': 'elbow'}, ValueError, "'silhouette', got 'elbow'"),
    ],
)
def test_unfit_settings_are_errors_that_name_them(fit, error, message):
    with pytest.raises(error, match=message):
        build(fit)


def test_fitting_needs_the_loss():
    with pytest.raises(
        ValueError, match=r"test_cfg\.fit: needs .* of type 'DynaSegLoss', got 'DiceLoss'"
    ):
        build(loss={'type': 'DiceLoss'})


def test_augmented_tests_are_refused():
    img, metas = as_batch([make_photo(16, 24)])
    with pytest.raises(UserError, match=r'test_cfg\.fit'):
        build().forward_test([img, img], [metas, metas])


def test_a_pipeline_that_normalises_is_refused():
    img, metas = as_batch([make_photo(16, 24)])
    metas[0]['img_norm_cfg'] = {'mean': [1.0] * 3, 'std': [2.0] * 3, 'to_rgb': True}
    with pytest.raises(ValueError, match='has a Normalize step'):
        build().forward_test([img], [metas])
    caffe = {'mean': [103.53, 116.28, 123.675], 'std': [1.0] * 3, 'to_rgb': False}
    for other in (caffe, {'mean': [0.0] * 3, 'std': [1.0] * 3, 'to_rgb': True}):
        with pytest.raises(ValueError, match='has a Normalize step'):
            refuse_normalised([{'img_norm_cfg': other}])
    for fine in ([], [{}], [{'img_norm_cfg': {'mean': [0] * 3, 'std': [1] * 3}}]):
        assert refuse_normalised(fine) is None


def test_pixels_become_the_image_that_they_were():
    photo = make_photo(8, 12)
    img, _ = as_batch([photo])
    assert np.array_equal(to_image(img[0]), photo)
    assert np.array_equal(to_image(img[0].float() + 0.4), photo)
    assert to_image(torch.tensor([-3.0, 300.0, 7.0]).view(3, 1, 1)).tolist() == [[[7, 255, 0]]]


def test_resized_images_are_fitted_at_their_size():
    model, photo = build(), make_photo(16, 24)
    small = mmcv.imresize(photo, (12, 8))
    img, metas = as_batch([small])
    metas[0]['ori_shape'] = photo.shape
    (labels,) = model.forward_test([img], [metas])
    expected = model.make_predictor()([small])[0].labels
    assert np.array_equal(labels, expected.repeat(2, axis=0).repeat(2, axis=1))

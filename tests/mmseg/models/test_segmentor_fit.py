import numpy as np
import pytest
import torch
from mmcv import ConfigDict
from mmseg.models import build_segmentor

import dynaseg.mmseg  # noqa: F401  (registers the models)
from dynaseg.core import Fitter, estimate_num_clusters
from dynaseg.core.losses import DynaSegLoss
from dynaseg.mmseg.models.segmentor import IMAGENET_NORM

FIT = {'iterations': 4, 'floor': 2}


def build(fit=FIT, **loss):
    torch.manual_seed(0)
    config = {
        'type': 'DynaSeg',
        'backbone': {'type': 'PlainCNN', 'channels': 8, 'num_blocks': 1},
        'decode_head': {
            'type': 'ResponseHead',
            'in_channels': 8,
            'num_classes': 8,
            'loss_decode': {'type': 'DynaSegLoss', **loss},
        },
        'test_cfg': {'fit': fit},
    }
    return build_segmentor(ConfigDict(config)).eval()


def make_photo(height, width, seed=0):
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    return blocks.repeat(4, axis=0).repeat(4, axis=1)


def as_batch(photos, pad_to, to_rgb=True):
    """What the test pipeline makes of photographs: normalised, padded, with their metas."""
    mean, std = (np.array(IMAGENET_NORM[key], dtype=np.float32) for key in ('mean', 'std'))
    img = torch.zeros(len(photos), 3, *pad_to)
    metas = []
    for row, photo in enumerate(photos):
        height, width = photo.shape[:2]
        channels = photo if to_rgb else photo[..., ::-1]
        img[row, :, :height, :width] = torch.from_numpy((channels - mean) / std).permute(2, 0, 1)
        norm = {'mean': mean, 'std': std, 'to_rgb': to_rgb}
        shapes = {'ori_shape': photo.shape, 'img_shape': photo.shape, 'pad_shape': (*pad_to, 3)}
        metas.append({**shapes, 'flip': False, 'img_norm_cfg': norm})
    return img, metas


class Wrapped(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.backbone, self.head = model.backbone, model.decode_head

    def forward(self, img):
        return self.head(self.backbone(img))


def test_segment_is_the_fitter_from_the_segmentors_weights():
    model, photo = build(weighting='fsf'), make_photo(16, 24)
    result = model.segment(photo)
    img, _ = as_batch([photo], (16, 24))
    fitter = Fitter(DynaSegLoss('fsf', reduction='none'), iterations=4)
    (expected,) = fitter(Wrapped(model), img, 2)
    assert torch.equal(result.labels, expected.labels)
    assert result.losses == pytest.approx(expected.losses, rel=1e-4)


def test_image_of_a_batch_gets_what_it_gets_alone():
    model = build()
    photos = [make_photo(16, 24), make_photo(24, 16, 1), make_photo(16, 24, 2)]
    together = model.forward_test(*([part] for part in as_batch(photos, (28, 28))))
    for labels, photo in zip(together, photos, strict=True):
        assert labels.shape == photo.shape[:2]
        (alone,) = model.forward_test(*([part] for part in as_batch([photo], photo.shape[:2])))
        assert np.array_equal(labels, alone)
        assert np.array_equal(labels, model.segment(photo).labels.numpy())


def test_stream_gives_each_image_what_it_gets_alone():
    model = build()
    photos = {seed: make_photo(16, 24 + 8 * (seed % 2), seed) for seed in range(5)}
    results = dict(model.segment_stream(photos.items(), batch_size=3))
    assert sorted(results) == list(photos)
    for seed, photo in photos.items():
        assert torch.equal(results[seed].labels, model.segment(photo).labels)


def test_images_come_out_at_their_original_size():
    model, photo = build(), make_photo(16, 24)
    img, metas = as_batch([photo], (16, 24))
    metas[0]['ori_shape'] = (32, 48, 3)
    (small,) = model.forward_test([img], [metas], rescale=False)
    (large,) = model.forward_test([img], [metas])
    assert large.shape == (32, 48)
    assert np.array_equal(large, small.repeat(2, axis=0).repeat(2, axis=1))


@pytest.mark.parametrize('to_rgb', [True, False])
def test_floor_is_that_of_the_colours(to_rgb):
    model = build({'iterations': 1, 'floor': 'silhouette'})
    photo = make_photo(24, 24)
    floors = []
    stream = model.fitter.stream

    def note_floors(network, items, batch_size):
        items = list(items)
        floors.extend(floor for *_, floor in items)
        return stream(network, items, batch_size)

    model.fitter.stream = note_floors
    model.segment(photo)
    model.forward_test(*([part] for part in as_batch([photo], (24, 24), to_rgb)))
    assert floors == [estimate_num_clusters(photo)[0]] * 2


def test_image_is_segmented_as_trained_without_fit():
    model, photo = build(fit=None), make_photo(16, 24)
    result = model.segment(photo)
    img, _ = as_batch([photo], (16, 24))
    with torch.no_grad():
        expected = model.response(img).argmax(1)[0].unique(return_inverse=True)[1]
    assert torch.equal(result.labels, expected)
    assert (result.stop_reason, result.iterations) == ('trained', 0)


@pytest.mark.parametrize(
    ('fit', 'error', 'message'),
    [
        ({'iterations': -1}, ValueError, 'test_cfg.fit: iterations must be at least 0'),
        ({'steps': 3}, TypeError, "test_cfg.fit: .*'steps'"),
        ({'refine': {'eps': 0}}, ValueError, 'test_cfg.fit.refine: eps must be positive, got 0'),
        ({'refine': {'size': 4}}, TypeError, "test_cfg.fit.refine: .*'size'"),
        ({'floor': 0}, ValueError, 'test_cfg.fit.floor must be a positive integer'),
        ({'floor': 'elbow'}, ValueError, "'silhouette', got 'elbow'"),
    ],
)
def test_unfit_settings_are_errors_that_name_them(fit, error, message):
    with pytest.raises(error, match=message):
        build(fit)


def test_augmented_tests_are_refused():
    img, metas = as_batch([make_photo(16, 24)], (16, 24))
    with pytest.raises(NotImplementedError, match=r'test_cfg\.fit'):
        build().forward_test([img, img], [metas, metas])

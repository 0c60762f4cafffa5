import mmcv
import numpy as np
import pytest
import torch
from mmcv import ConfigDict
from mmseg.models import build_segmentor
from mmseg.models.segmentors import EncoderDecoder
from torch.nn.functional import interpolate

import dynaseg.mmseg  # noqa: F401  (registers the models)
from dynaseg.core import ProbabilityRefinement

PLAIN = {
    'type': 'DynaSeg',
    'backbone': {'type': 'PlainCNN', 'channels': 8, 'num_blocks': 2},
    'decode_head': {'type': 'ResponseHead', 'in_channels': 8, 'num_classes': 8},
    'test_cfg': {'mode': 'whole'},
}
RESNET_FPN = {
    'type': 'DynaSeg',
    'backbone': {'type': 'ResNet', 'depth': 18, 'out_indices': (0, 1, 2, 3)},
    'neck': {
        'type': 'FPN',
        'in_channels': [64, 128, 256, 512],
        'out_channels': 16,
        'num_outs': 4,
    },
    'decode_head': {
        'type': 'ResponseHead',
        'in_channels': [16, 16],
        'in_index': [0, 1],
        'num_classes': 12,
    },
    'test_cfg': {'mode': 'whole'},
}


def build(config, **changes):
    torch.manual_seed(0)
    return build_segmentor(ConfigDict({**config, **changes}))


def metas(img):
    shape = (*img.shape[2:], 3)
    return [{'ori_shape': shape, 'img_shape': shape, 'pad_shape': shape, 'flip': False}] * len(img)


@pytest.mark.parametrize(('config', 'shape'), [(PLAIN, (8, 32, 40)), (RESNET_FPN, (12, 8, 10))])
def test_trains_and_predicts_without_labels(config, shape):
    model = build(config)
    img = torch.rand(2, 3, 32, 40)
    assert model.response(img).shape == (2, *shape)
    losses = model.forward_train(img, metas(img))
    loss, logged = model._parse_losses(losses)
    expected = {'loss_sim', 'loss_con', 'weight', 'num_clusters'}
    assert set(logged) == {*expected, 'loss'}
    assert logged['loss'] == pytest.approx(logged['loss_sim'] + logged['loss_con'], rel=1e-6)
    loss.backward()
    trained = [name for name, weight in model.named_parameters() if weight.grad is not None]
    assert any(name.startswith('backbone') for name in trained)
    assert any(name.startswith('decode_head.conv_seg') for name in trained)

    model.eval()
    with torch.no_grad():
        labels = model.forward_test([img], [metas(img)])
    assert [label.shape for label in labels] == [(32, 40), (32, 40)]
    assert all(set(np.unique(label)) <= set(range(shape[0])) for label in labels)


def test_labels_change_nothing():
    img = torch.rand(1, 3, 16, 16)
    model = build(PLAIN)
    without = model.forward_train(img, metas(img))
    labelled = model.forward_train(img, metas(img), torch.ones(1, 1, 16, 16, dtype=torch.int64))
    assert {name: value.item() for name, value in without.items()} == {
        name: value.item() for name, value in labelled.items()
    }


def test_sliding_windows_are_refused():
    with pytest.raises(ValueError, match=r"mode must be 'whole' for DynaSeg, got 'slide'"):
        build(PLAIN, test_cfg={'mode': 'slide', 'crop_size': (8, 8), 'stride': (4, 4)})


@pytest.mark.parametrize('config', [PLAIN, RESNET_FPN])
def test_predicts_as_mmsegmentation_does_unless_told_otherwise(config):
    model = build(config).eval()
    img = torch.rand(2, 3, 32, 40)
    with torch.no_grad():
        expected = EncoderDecoder.encode_decode(model, img, metas(img))
        assert torch.equal(model.encode_decode(img, metas(img)), expected)
        expected = EncoderDecoder.inference(model, img, metas(img), True)
        assert torch.equal(model.inference(img, metas(img), True), expected)


def test_network_sees_enlarged_images_as_far_as_pixels_go():
    model = build(RESNET_FPN, test_cfg={'predict_scale': 2.0, 'predict_pixels': 6000}).eval()
    seen = []
    model.backbone.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape[2:]))
    img = torch.rand(1, 3, 32, 40)
    with torch.no_grad():
        response = model.encode_decode(img, metas(img))
        for size in ((48, 64), (96, 128)):
            assert model.encode_decode(torch.rand(1, 3, *size), None).shape[2:] == size
        large = interpolate(img, (64, 80), mode='bicubic')
        expected = interpolate(model.response(large), (32, 40), mode='bilinear')
    assert seen[:3] == [(64, 80), (67, 89), (67, 89)]
    torch.testing.assert_close(response, expected)


def test_probabilities_are_refined_by_the_image_as_it_was_before_padding_and_flip():
    refine = {'radius': 3, 'eps': 0.1}
    model = build(PLAIN, test_cfg={'refine': refine}).eval()
    img = torch.rand(1, 3, 16, 24)
    inner = img[:, :, :14, :20]
    refinement = ProbabilityRefinement(**refine)
    for flip, axis in ((None, None), ('horizontal', 3), ('vertical', 2)):
        (meta,) = metas(img)
        meta |= {'img_shape': (14, 20, 3), 'ori_shape': (14, 20, 3)}
        meta |= {'flip': flip is not None, 'flip_direction': flip}
        guide = inner if flip is None else inner.flip(axis)
        with torch.no_grad():
            plain = EncoderDecoder.inference(model, img, [meta], True)
            refined = model.inference(img, [meta], True)
            (labels,) = model.simple_test(img, [meta])
        torch.testing.assert_close(refined, refinement(plain, guide))
        assert (refined - plain).abs().max() > 1e-4
        assert np.array_equal(labels, refined.argmax(dim=1)[0])


def test_photographs_get_the_labels_of_the_test():
    test_cfg = {'predict_scale': 2.0, 'refine': {'radius': 3}}
    model = build(PLAIN, test_cfg=test_cfg).eval()
    photograph = np.random.default_rng(0).integers(0, 256, (14, 20, 3)).astype(np.uint8)
    img = model.normalise(photograph)[None]
    with torch.no_grad():
        (expected,) = model.simple_test(img, metas(img))
    result = model.segment(photograph)
    clusters, expected = np.unique(expected, return_inverse=True)
    assert np.array_equal(result.labels, expected.reshape(14, 20))
    assert result.num_clusters == [len(clusters)]
    small = build(PLAIN, test_cfg={**test_cfg, 'predict_pixels': 70}).eval().segment(photograph)
    assert small.labels.shape == (14, 20)
    assert torch.equal(small.labels[::2, ::2].repeat_interleave(2, 0)[:, :1], small.labels[:, :1])


@pytest.mark.parametrize(
    ('entry', 'message'),
    [
        ({'predict_scale': 0.5}, r'test_cfg\.predict_scale must be at least 1, got 0\.5'),
        ({'predict_pixels': 0}, r'test_cfg\.predict_pixels must be positive or None, got 0'),
        ({'refine': {'radius': 0}}, r'test_cfg\.refine: radius must be at least 1, got 0'),
    ],
)
def test_prediction_settings_out_of_range_are_errors_that_name_them(entry, message):
    with pytest.raises(ValueError, match=message):
        build(PLAIN, test_cfg=entry)


def test_training_lowers_the_loss():
    model = build(PLAIN)
    img = torch.zeros(1, 3, 24, 24)
    img[:, 0, :, 12:] = 2
    img += 0.2 * torch.randn(img.shape)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    totals = []
    for _ in range(30):
        loss, logged = model._parse_losses(model.forward_train(img, metas(img)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        # the weight follows the number of clusters, so the terms are compared without it
        totals.append(logged['loss_sim'] + logged['loss_con'] / logged['weight'])
    assert np.mean(totals[-5:]) < 0.6 * totals[0]


def test_draws_more_clusters_than_classes(tmp_path):
    model = build(PLAIN)
    model.CLASSES, model.PALETTE = ('one', 'two'), [[0, 0, 0], [255, 255, 255]]
    labels = np.arange(8).repeat(10).reshape(8, 10)
    img = np.zeros((8, 10, 3), dtype=np.uint8)
    model.show_result(
        img, [labels], palette=model.PALETTE, opacity=1, out_file=str(tmp_path / 'drawn.png')
    )
    drawn = mmcv.imread(str(tmp_path / 'drawn.png'))
    assert drawn.shape == (8, 10, 3)
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) == 8
    assert model.CLASSES == ('one', 'two')

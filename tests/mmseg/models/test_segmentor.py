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
from dynaseg.core.refinement import keep_labels
from dynaseg.core.regions import average_over_superpixels
from dynaseg.mmseg.models.inputs import to_image
from dynaseg.mmseg.models.old_keys import refuse_old_keys
from dynaseg.mmseg.models.predictors import TrainedPredictor

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


def make_pixels(*shape):
    return torch.randint(0, 256, shape).float()


def metas(img):
    shape = (*img.shape[2:], 3)
    return [{'ori_shape': shape, 'img_shape': shape, 'pad_shape': shape, 'flip': False}] * len(img)


@pytest.mark.parametrize(('config', 'shape'), [(PLAIN, (8, 32, 40)), (RESNET_FPN, (12, 8, 10))])
def test_trains_and_predicts_without_labels(config, shape):
    model = build(config)
    img = make_pixels(2, 3, 32, 40)
    assert model.response(model.normalise(img)).shape == (2, *shape)
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
    img = make_pixels(1, 3, 16, 16)
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
    pixels = make_pixels(2, 3, 32, 40)
    with torch.no_grad():
        expected = EncoderDecoder.encode_decode(model, model.normalise(pixels), metas(pixels))
        assert torch.equal(model.encode_decode(pixels, metas(pixels)), expected)
        expected = EncoderDecoder.inference(model, pixels, metas(pixels), True)
        assert torch.equal(model.inference(pixels, metas(pixels), True), expected)


def test_network_sees_enlarged_images_as_far_as_pixels_go():
    model = build(RESNET_FPN, test_cfg={'predict_scale': 2.0, 'predict_pixels': 6000}).eval()
    seen = []
    model.backbone.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape[2:]))
    img = torch.rand(1, 3, 32, 40)
    with torch.no_grad():
        response = model.encode_decode(img, metas(img))
        for size in ((48, 64), (96, 128)):
            assert model.encode_decode(torch.rand(1, 3, *size), None).shape[2:] == size
        large = interpolate(model.normalise(img), (64, 80), mode='bicubic')
        expected = interpolate(model.response(large), (32, 40), mode='bilinear')
    assert seen[:3] == [(64, 80), (67, 89), (67, 89)]
    torch.testing.assert_close(response, expected)


def test_probabilities_are_refined_by_the_image_as_it_was_before_padding_and_flip():
    refine = {'radius': 3, 'eps': 0.1}
    model = build(PLAIN, test_cfg={'refine': refine}).eval()
    averaging = build(PLAIN, test_cfg={'refine': refine, 'superpixels': True}).eval()
    averaging.load_state_dict(model.state_dict())
    pixels = make_pixels(1, 3, 16, 24)
    img = model.normalise(pixels)
    inner = img[:, :, :14, :20]
    refinement = ProbabilityRefinement(**refine)
    for flip, axis in ((None, None), ('horizontal', 3), ('vertical', 2)):
        (meta,) = metas(img)
        meta |= {'img_shape': (14, 20, 3), 'ori_shape': (14, 20, 3)}
        meta |= {'flip': flip is not None, 'flip_direction': flip}
        guide = inner if flip is None else inner.flip(axis)
        with torch.no_grad():
            plain = EncoderDecoder.inference(model, pixels, [meta], True)
            refined = model.inference(pixels, [meta], True)
            (labels,) = model.simple_test(pixels, [meta])
            seen = model.inference(pixels[:, :, :14, :20], [meta], True)
            averaged = averaging.inference(pixels, [meta], True)
            with averaging.unrefined():
                assert torch.equal(averaging.inference(pixels, [meta], True), plain)
        torch.testing.assert_close(refined, refinement(plain, guide))
        shown = pixels[:, :, :14, :20] if flip is None else pixels[:, :, :14, :20].flip(axis)
        expected = average_over_superpixels(refined[0], to_image(shown[0]))
        torch.testing.assert_close(averaged[0], expected)
        assert (averaged - refined).abs().max() > 1e-4
        assert (refined - plain).abs().max() > 1e-4
        assert np.array_equal(labels, seen.argmax(dim=1)[0])  # the network sees no padding


@pytest.mark.parametrize('superpixels', [False, True])
def test_a_cluster_that_an_image_has_may_stay_one(superpixels):
    refine = {'radius': 9, 'eps': 10.0}
    settings = {'refine': refine, 'superpixels': superpixels}
    model = build(PLAIN, test_cfg=settings).eval()
    torch.nn.init.normal_(model.decode_head.conv_seg.weight)
    keeping = build(PLAIN, test_cfg={**settings, 'keep': True}).eval()
    bare = build(PLAIN, test_cfg={'superpixels': superpixels}).eval()
    for other in (keeping, bare):
        other.load_state_dict(model.state_dict())
    pixels = 255 * torch.rand(2, 3, 24, 32)
    with torch.no_grad():
        found = [one.inference(pixels, 2 * metas(pixels), True) for one in (model, keeping, bare)]
        with keeping.unrefined():
            plain = EncoderDecoder.inference(model, pixels, 2 * metas(pixels), True)
            assert torch.equal(keeping.inference(pixels, 2 * metas(pixels), True), plain)
    refined, kept, before = found
    torch.testing.assert_close(kept, keep_labels(refined, before))
    for images in zip(*found, strict=True):
        lost, stayed, present = (set(one.argmax(dim=0).unique().tolist()) for one in images)
        assert present <= stayed
        assert not present <= lost


def make_photograph(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def as_pixels(photograph):
    """What a pipeline makes of a photograph, RGB: BGR, (1, 3, H, W)."""
    return torch.from_numpy(photograph[..., ::-1].copy()).permute(2, 0, 1)[None]


def test_photographs_get_the_labels_of_the_test():
    test_cfg = {'predict_scale': 2.0, 'refine': {'radius': 3}}
    model = build(PLAIN, test_cfg=test_cfg).eval()
    photograph = make_photograph(14, 20)
    img = as_pixels(photograph)
    with torch.no_grad():
        (expected,) = model.simple_test(img, metas(img))
    assert isinstance(model.make_predictor(), TrainedPredictor)
    (result,) = model.make_predictor()([photograph])
    assert result.fit is result.hierarchy is None
    assert np.array_equal(result.labels, expected)
    assert result.names == tuple(f'cluster {number}' for number in range(8))
    bounded = build(PLAIN, test_cfg={**test_cfg, 'predict_pixels': 70}).eval()
    (small,) = bounded.make_predictor()([photograph])
    assert small.labels.shape == (14, 20)
    assert np.array_equal(small.labels, small.labels[::2, ::2].repeat(2, 0).repeat(2, 1))


def test_photographs_of_several_sizes_come_out_in_order():
    model = build(PLAIN).eval()
    photographs = [make_photograph(14, 20), make_photograph(9, 31), make_photograph(14, 20)]
    together = model.make_predictor()(photographs)
    assert [result.labels.shape for result in together] == [(14, 20), (9, 31), (14, 20)]
    for photograph, result in zip(photographs, together, strict=True):
        assert np.array_equal(result.labels, model.make_predictor()([photograph])[0].labels)


@pytest.mark.parametrize(
    'norm',
    [
        {},
        {'mean': [1.0, 2.0, 3.0], 'std': [4.0, 5.0, 6.0], 'to_rgb': True},
        {'mean': [103.53, 116.28, 123.675], 'std': [1.0, 2.0, 3.0], 'to_rgb': False},
    ],
)
def test_pixels_are_normalised_as_mmsegmentation_does(norm):
    stock = {'mean': [123.675, 116.28, 103.53], 'std': [58.395, 57.12, 57.375], 'to_rgb': True}
    stock |= norm
    model = build(PLAIN, **({'img_norm_cfg': norm} if norm else {}))
    photograph = make_photograph(14, 20)
    bgr = photograph[..., ::-1].astype(np.float32)
    expected = mmcv.imnormalize(
        bgr, np.array(stock['mean']), np.array(stock['std']), stock['to_rgb']
    )
    expected = torch.from_numpy(expected).permute(2, 0, 1)[None]
    for pixels in (as_pixels(photograph), as_pixels(photograph).float()):
        torch.testing.assert_close(model.normalise(pixels), expected, rtol=1e-5, atol=1e-5)
    rgb = torch.from_numpy(photograph).permute(2, 0, 1)[None]
    torch.testing.assert_close(model.normalise.from_rgb(rgb), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('norm', [{}, {'mean': [1.0, 2.0, 3.0], 'std': [4.0, 5.0, 6.0]}])
def test_training_tests_and_features_see_normalised_pixels(norm):
    model = build(PLAIN, img_norm_cfg=norm).eval()
    pixels = make_pixels(2, 3, 16, 24)
    img = model.normalise(pixels)
    with torch.no_grad():
        response = model.response(img)
        losses = model.forward_train(pixels, metas(img))
        assert losses['loss_sim'].item() == pytest.approx(
            model.decode_head.losses(response)['loss_sim'].item()
        )
        labels = model.forward_test([pixels], [metas(img)])
        assert np.array_equal(labels, response.argmax(dim=1).numpy())
        torch.testing.assert_close(model.features(pixels), model.backbone(img)[0])


def test_a_pipeline_that_normalises_is_refused():
    model = build(PLAIN).eval()
    img = make_pixels(1, 3, 16, 16)
    (meta,) = metas(img)
    meta['img_norm_cfg'] = {'mean': [123.675] * 3, 'std': [58.395] * 3, 'to_rgb': True}
    for call in (
        lambda: model.forward_train(img, [meta]),
        lambda: model.forward_test([img], [[meta]]),
        lambda: model.inference(img, [meta], True),
    ):
        with pytest.raises(ValueError, match=r'has a Normalize step, but DynaSeg normalises'):
            call()
    meta['img_norm_cfg'] = {'mean': np.zeros(3), 'std': np.ones(3), 'to_rgb': False}  # mmseg's own
    assert model.forward_train(img, [meta])['loss_sim'] > 0


@pytest.mark.parametrize(
    ('norm', 'error', 'message'),
    [
        ({'std': [1.0, 0.0, 1.0]}, ValueError, 'img_norm_cfg: mean and std must be equally many'),
        ({'mean': [1.0]}, ValueError, 'img_norm_cfg: mean and std must be equally many'),
        ({'rgb': True}, TypeError, "img_norm_cfg: .*'rgb'"),
    ],
)
def test_unfit_normalisation_is_an_error_that_names_it(norm, error, message):
    with pytest.raises(error, match=message):
        build(PLAIN, img_norm_cfg=norm)


@pytest.mark.parametrize(
    ('entry', 'message'),
    [
        ({'test_cfg': {'predict_scal': 2}}, r"test_cfg has no predict_scal: .*'predict_scale'"),
        ({'test_cfg': {'b': 1, 'a': 1, 'mode': 'whole'}}, 'test_cfg has no a, b: expected'),
        ({'train_cfg': {'steps': 1}}, r"train_cfg has no steps: expected \['as_tested'\]"),
    ],
)
def test_unknown_entries_are_refused(entry, message):
    with pytest.raises(ValueError, match=message):
        build(PLAIN, **entry)


def test_empty_train_cfg_is_taken():
    for nothing in (None, {}):
        assert build(PLAIN, train_cfg=nothing).train_cfg in (None, {})


LOSS = {'type': 'DynaSegLoss'}
HEAD = PLAIN['decode_head']
NECK = {'type': 'NormalizedLevels'}


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            {'decode_head': {**HEAD, 'loss_decode': {**LOSS, 'balance': 2.0}}},
            r'model\.decode_head\.loss_decode\.balance is now .*loss_decode\.entropy_weight',
        ),
        ({'test_cfg': {'fit': {'floor': 3}}}, r'model\.test_cfg\.fit\.floor is now .*fit\.min_clu'),
        (
            {'test_cfg': {'fit': {'settled': 0.1}}},
            r'model\.test_cfg\.fit\.settled is now .*fit\.tol',
        ),
        (
            {'neck': {**NECK, 'weights': (1, 1)}},
            r'model\.neck\.weights is gone: all levels count the same',
        ),
        ({'train_cfg': {'views': {}}}, r'model\.train_cfg\.views is gone: '),
        ({'train_cfg': {'teacher': {}}}, r'model\.train_cfg\.teacher is gone: '),
        (
            {'backbone': {**PLAIN['backbone'], 'padding_mode': 'zeros'}},
            r'model\.backbone\.padding_mode is gone: borders are padded with zeros',
        ),
        (
            {'backbone': {'type': 'TimmBackbone', 'name': 'resnet18'}},
            r"model\.backbone\.type='TimmBackbone' is now 'TimmFeatures'",
        ),
        *(
            (
                {'decode_head': {**HEAD, 'loss_decode': {**LOSS, key: 1}}},
                rf'model\.decode_head\.loss_decode\.{key} is gone: ',
            )
            for key in ('count', 'penalty', 'diagonal')
        ),
    ],
)
def test_old_keys_are_errors_that_say_what_to_write(changes, message):
    with pytest.raises(ValueError, match=message):
        build(PLAIN, **changes)


def test_other_libraries_parts_may_have_such_keys():
    refuse_old_keys({'neck': {'type': 'BiFPN', 'weights': (1, 2)}})
    refuse_old_keys({'backbone': {'type': 'ConvNet', 'padding_mode': 'reflect'}})
    refuse_old_keys({'decode_head': {'loss_decode': {'type': 'OhemLoss', 'penalty': 'l2'}}})
    refuse_old_keys({'neck': None, 'train_cfg': {}})


@pytest.mark.parametrize(
    ('entry', 'message'),
    [
        (
            {'predict_scale': 0.5},
            r'test_cfg: predict_scale must be at least 1 and finite, got 0\.5',
        ),
        ({'predict_pixels': 0}, r'test_cfg: predict_pixels must be positive or None, got 0'),
        (
            {'refine': {'radius': 0}},
            r'test_cfg\.refine: radius must be an integer of at least 1, got 0',
        ),
        ({'superpixels': 1}, r'test_cfg\.superpixels must be True or False, got 1'),
        ({'keep': 'all'}, r"test_cfg\.keep must be True or False, got 'all'"),
        ({'keep': True}, r'test_cfg\.keep needs refine'),
    ],
)
def test_prediction_settings_out_of_range_are_errors_that_name_them(entry, message):
    with pytest.raises(ValueError, match=message):
        build(PLAIN, test_cfg=entry)


def test_training_lowers_the_loss():
    model = build(PLAIN)
    img = torch.full((1, 3, 24, 24), 120.0)
    img[:, 2, :, 12:] = 230
    img += 12 * torch.randn(img.shape)
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

"""What holds for every backbone and every loss of the package; see CONTRIBUTING for a new one."""

import math

import pytest
import torch
from mmseg.models import build_backbone, build_head, build_loss
from mmseg.models.builder import MODELS

import dynaseg.mmseg  # noqa: F401  (registers them)

# The channels and strides of the levels that each backbone gives.
BACKBONE_CASES = {
    'PlainCNN': [({'channels': 6, 'num_blocks': 3, 'out_indices': (0, 2)}, [(6, 1), (6, 1)])],
    'EfficientNetLite0': [
        (
            {'pretrained': False, 'out_indices': (0, 1, 2, 3, 4)},
            [(16, 2), (24, 4), (40, 8), (112, 16), (320, 32)],
        )
    ],
    'EfficientNetLite1': [({'pretrained': False, 'out_indices': (2, 4)}, [(40, 8), (320, 32)])],
    'EfficientNetLite2': [({'pretrained': False, 'out_indices': (2, 4)}, [(48, 8), (352, 32)])],
    'TimmFeatures': [
        ({'name': 'resnet18', 'out_indices': (1, 3)}, [(64, 4), (256, 16)]),
        (
            {
                'name': 'vit_tiny_patch16_224',
                'out_indices': (2, 5),
                'dynamic_img_size': True,
                'dynamic_img_pad': True,
            },
            [(192, 16), (192, 16)],
        ),
    ],
}
LOSS_CASES = {
    'DynaSegLoss': [
        {'weighting': 'fsf'},
        {'weighting': 'scf', 'mu': 7.0},
        {'weighting': 'fixed'},
        {'weighting': 'fsf', 'entropy_weight': 2.0},
    ],
}
OTHERS = {
    'DynaSeg',
    'NoiseWhitening',
    'DynaSegAuxiliaryLoss',
    'JoinedBackbones',
    'NormalizedLevels',
    'ProjectionHead',
    'ResponseHead',
    'SmoothnessLoss',
}  # which have tests of their own
BACKBONE_PARAMS = [
    pytest.param({'type': kind, **config}, levels, id=f'{kind}-{number}')
    for kind, cases in BACKBONE_CASES.items()
    for number, (config, levels) in enumerate(cases)
]
LOSS_PARAMS = [
    pytest.param({'type': kind, **config}, id=f'{kind}-{number}')
    for kind, cases in LOSS_CASES.items()
    for number, config in enumerate(cases)
]


def test_every_backbone_and_every_loss_has_a_case():
    registered = {  # MMSegmentation has one registry for all kinds
        name
        for name, kind in MODELS.module_dict.items()
        if kind.__module__.partition('.')[0] == 'dynaseg'
    }
    assert registered == {*BACKBONE_CASES, *LOSS_CASES, *OTHERS}


def can_be_frozen(config):
    return config['type'] != 'PlainCNN'


def build_fresh(config, **changes):
    torch.manual_seed(0)
    return build_backbone({**config, **changes})


@pytest.mark.parametrize('size', [(64, 96), (37, 53), (33, 65), (100, 35)])
@pytest.mark.parametrize(('config', 'levels'), BACKBONE_PARAMS)
def test_levels_have_their_channels_and_strides_at_every_size(config, levels, size):
    backbone = build_fresh(config).eval()
    with torch.no_grad():
        features = backbone(torch.randn(2, 3, *size))
    expected = [
        (2, channels, *(math.ceil(side / stride) for side in size)) for channels, stride in levels
    ]
    assert [tuple(level.shape) for level in features] == expected
    assert all(torch.isfinite(level).all() for level in features)


@pytest.mark.parametrize(('config', 'levels'), BACKBONE_PARAMS)
def test_an_image_does_not_depend_on_its_batch(config, levels):
    backbone = build_fresh(config).eval()
    img = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        together, alone = backbone(img), backbone(img[1:2])
        again = backbone(img)
    for one, other, same in zip(together, alone, again, strict=True):
        torch.testing.assert_close(one[1:2], other, rtol=1e-3, atol=1e-4)
        assert torch.equal(one, same)


@pytest.mark.parametrize(('config', 'levels'), BACKBONE_PARAMS)
def test_gradients_reach_every_weight_that_is_not_frozen(config, levels):
    backbone = build_fresh(config, **({'frozen': False} if can_be_frozen(config) else {})).train()
    img = torch.randn(2, 3, 64, 64, requires_grad=True)
    sum((level * torch.randn_like(level)).sum() for level in backbone(img)).backward()
    assert img.grad.abs().sum() > 0
    for name, weight in backbone.named_parameters():
        assert weight.requires_grad, name
        assert weight.grad is not None, name
        assert torch.isfinite(weight.grad).all(), name


@pytest.mark.parametrize(
    ('config', 'levels'), [case for case in BACKBONE_PARAMS if can_be_frozen(case.values[0])]
)
def test_frozen_networks_stay_as_they_are(config, levels):
    backbone = build_fresh(config, frozen=True).train()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    img = torch.randn(2, 3, 64, 64)
    training = backbone(img)
    assert not any(weight.requires_grad for weight in backbone.parameters())
    assert not any(level.requires_grad for level in training)
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
    for one, other in zip(training, backbone.eval()(img), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(('config', 'levels'), BACKBONE_PARAMS)
def test_weights_come_back_from_a_state_dict(config, levels):
    backbone, other = build_fresh(config).eval(), build_backbone(config).eval()
    other.load_state_dict(backbone.state_dict())
    img = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for one, same in zip(backbone(img), other(img), strict=True):
            assert torch.equal(one, same)


@pytest.mark.parametrize(('config', 'levels'), BACKBONE_PARAMS)
def test_the_head_takes_every_level(config, levels):
    backbone = build_fresh(config)
    channels, indices = [channels for channels, _ in levels], list(range(len(levels)))
    head = build_head(
        {'type': 'ResponseHead', 'in_channels': channels, 'in_index': indices, 'num_classes': 5}
    )
    features = backbone(torch.randn(2, 3, 64, 96))
    response = head(features)
    assert response.shape == (2, 5, *features[0].shape[2:])
    losses = head.losses(response)
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert head.conv_seg.weight.grad.abs().sum() > 0


def make_response(images=3, channels=5, size=(4, 6), kind=torch.float64):
    generator = torch.Generator().manual_seed(0)
    response = torch.randn(images, channels, *size, generator=generator, dtype=kind)
    response[0, 0] += 4  # images differ in their numbers of clusters
    return response


def total(parts):
    """What MMSegmentation minimises: the sum of what has 'loss' in its name."""
    return sum(value.mean() for name, value in parts.items() if 'loss' in name)


@pytest.mark.parametrize('config', LOSS_PARAMS)
def test_parts_are_finite_scalars_and_one_of_them_is_minimised(config):
    parts = build_loss(config)(make_response().requires_grad_())
    assert any('loss' in name for name in parts)
    for name, value in parts.items():
        assert value.shape == (), name
        assert torch.isfinite(value), name
        assert value.requires_grad == ('loss' in name), name


@pytest.mark.parametrize('config', LOSS_PARAMS)
def test_gradient_is_that_of_finite_differences(config):
    criterion = build_loss(config)
    response = make_response(2, 4, (3, 4)).requires_grad_()
    assert torch.autograd.gradcheck(lambda values: total(criterion(values)), response)


@pytest.mark.parametrize('config', LOSS_PARAMS)
def test_gradient_reaches_every_pixel(config):
    response = make_response().requires_grad_()
    total(build_loss(config)(response)).backward()
    assert (response.grad.abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize('config', LOSS_PARAMS)
def test_without_reduction_there_is_a_value_an_image(config):
    criterion = build_loss(config)
    response = make_response()
    mean, each = criterion(response), criterion.without_reduction()(response)
    for name, value in each.items():
        assert value.shape == (3,), name
        torch.testing.assert_close(value.mean(), mean[name])
    alone = criterion.without_reduction()(response[1:2])
    for name, value in alone.items():
        torch.testing.assert_close(value[0], each[name][1])


@pytest.mark.parametrize('size', [(1, 1), (1, 7), (7, 1), (3, 5)])
@pytest.mark.parametrize('config', LOSS_PARAMS)
def test_maps_of_every_size_have_a_loss(config, size):
    response = make_response(size=size, kind=torch.float32).requires_grad_()
    loss = total(build_loss(config)(response))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(response.grad).all()


@pytest.mark.parametrize('config', LOSS_PARAMS)
def test_extreme_responses_have_finite_gradients(config):
    for value in (0.0, 300.0):
        response = torch.zeros(2, 4, 3, 3)
        response[:, 1] = value
        response.requires_grad_()
        total(build_loss(config)(response)).backward()
        assert torch.isfinite(response.grad).all()


@pytest.mark.parametrize('config', LOSS_PARAMS)
def test_settings_are_shown(config):
    shown = repr(build_loss(config))
    assert all(str(value) in shown for key, value in config.items() if key != 'type')

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmcv.runner import LogBuffer
from mmseg.models import build_segmentor

from dynaseg.core import DynaSegLoss
from dynaseg.mmseg.configs import load_config
from dynaseg.mmseg.models import DynaSegAuxiliaryLoss, LossPartsHook

VOID = 11
HEADS = {
    'FCNHead': {'num_convs': 1, 'kernel_size': 1},
    'ASPPHead': {'dilations': (1, 6)},
    'PSPHead': {'pool_scales': (1, 2)},
}


def build(head, losses):
    """A segmentor of MMSegmentation with a small ResNet-18."""
    torch.manual_seed(0)
    return build_segmentor(
        {
            'type': 'EncoderDecoder',
            'backbone': {
                'type': 'ResNet',
                'depth': 18,
                'base_channels': 8,
                'stem_channels': 8,
                'norm_cfg': {'type': 'BN'},
            },
            'decode_head': {
                'type': head,
                'in_channels': 64,
                'in_index': 3,
                'channels': 8,
                'num_classes': VOID,
                'ignore_index': VOID,
                'norm_cfg': {'type': 'BN'},
                'loss_decode': losses,
                **HEADS[head],
            },
        }
    )


def losses(**kwargs):
    return [
        {'type': 'CrossEntropyLoss', 'avg_non_ignore': True},
        {'type': 'DynaSegAuxiliaryLoss', **kwargs},
    ]


def train_step(model, masks):
    torch.manual_seed(1)
    images = torch.randn(2, 3, 64, 64)
    return model.train_step({'img': images, 'img_metas': [{}, {}], 'gt_semantic_seg': masks}, None)


@pytest.mark.parametrize('entropy_weight', [0.0, 2.0])
@pytest.mark.parametrize('weighting', ['fsf', 'scf', 'fixed'])
def test_it_is_the_plain_loss_times_its_weight_with_the_same_gradients(weighting, entropy_weight):
    settings = {'weighting': weighting, 'entropy_weight': entropy_weight}
    logits = torch.randn(2, 5, 6, 7, requires_grad=True)
    parts = DynaSegLoss(**settings)(logits)
    plain = sum(value for name, value in parts.items() if name.startswith('loss'))
    (expected,) = torch.autograd.grad(plain, logits)
    loss = DynaSegAuxiliaryLoss(loss_weight=0.3, **settings)
    value = loss(logits, torch.zeros(2, 6, 7).long(), weight=None, ignore_index=255)
    (given,) = torch.autograd.grad(value, logits)
    torch.testing.assert_close(value, 0.3 * plain)
    torch.testing.assert_close(given, 0.3 * expected)
    assert loss.parts.keys() == parts.keys()
    assert not any(part.requires_grad for part in loss.parts.values())


@pytest.mark.parametrize('head', HEADS)
def test_any_head_adds_it_to_its_own_loss(head):
    masks = torch.randint(0, VOID + 1, (2, 1, 64, 64))
    alone = train_step(build(head, losses()[:1]), masks)['log_vars']
    both = train_step(build(head, losses(loss_weight=0.5)), masks)['log_vars']
    assert both['decode.loss_ce'] == pytest.approx(alone['decode.loss_ce'])
    assert both['decode.loss_dynaseg'] > 0
    assert both['loss'] == pytest.approx(both['decode.loss_ce'] + both['decode.loss_dynaseg'])


def test_images_without_labels_train_by_it_alone():
    masks = torch.full((2, 1, 64, 64), VOID)
    model = build('FCNHead', losses())
    outputs = train_step(model, masks)
    assert outputs['log_vars']['decode.loss_ce'] == 0
    assert np.isfinite(outputs['log_vars']['decode.acc_seg'])
    outputs['loss'].backward()
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert sum(gradient.abs().sum() for gradient in gradients) > 0
    model = build('FCNHead', losses()[:1])  # by the labels alone nothing moves
    train_step(model, masks)['loss'].backward()
    assert all(weight.grad is None or not weight.grad.any() for weight in model.parameters())


def test_the_parts_are_logged():
    model = build('FCNHead', losses(loss_weight=0.5, loss_name='loss_free'))
    runner = SimpleNamespace(model=model, log_buffer=LogBuffer())
    logged = train_step(model, torch.zeros(2, 1, 64, 64).long())['log_vars']
    LossPartsHook().after_train_iter(runner)
    runner.log_buffer.average()
    parts = runner.log_buffer.output
    assert set(parts) == {
        f'loss_free.{name}' for name in ('loss_sim', 'loss_con', 'weight', 'num_clusters')
    }
    total = parts['loss_free.loss_sim'] + parts['loss_free.loss_con']
    assert logged['decode.loss_free'] == pytest.approx(0.5 * total)


@pytest.mark.parametrize(
    ('argument', 'value', 'message'),
    [
        ('loss_weight', -1.0, 'loss_weight must be at least 0, got -1.0'),
        ('loss_name', 'dynaseg', "loss_name must begin with 'loss', got 'dynaseg'"),
        ('weighting', 'other', 'weighting must be one of'),
    ],
)
def test_bad_arguments_are_named(argument, value, message):
    with pytest.raises(ValueError, match=message):
        DynaSegAuxiliaryLoss(**{argument: value})


def test_the_shipped_configs_differ_in_the_loss_alone():
    name = 'semi_supervised/fcn_efficientnet-lite0_100{}_camvid.py'
    alone, both = (load_config(name.format(which)) for which in ('', '-dynaseg'))
    assert alone.data == both.data
    model = build_segmentor(both.model)
    assert both.model.decode_head.pop('loss_decode') != alone.model.decode_head.pop('loss_decode')
    assert alone.model == both.model
    masks = torch.full((2, 1, 64, 64), VOID)
    masks[0, :, :32] = 3
    optimizer = torch.optim.SGD([w for w in model.parameters() if w.requires_grad], lr=0.05)
    values = []
    for _ in range(2):
        outputs = train_step(model.train(), masks)
        values.append(outputs['log_vars']['loss'])
        optimizer.zero_grad()
        outputs['loss'].backward()
        optimizer.step()
    assert values[1] < values[0]

import copy

import pytest
import torch
from mmcv import Config
from mmseg.models import build_segmentor
from short_training import tiny_config, train

from dynaseg.mmseg.configs import load_config

PLAIN = 'fsf_plain-cnn_100_sample.py'
AMP = {'optimizer_config': {'type': 'AmpOptimizerHook'}}


def test_networks_compute_in_16_bits_and_losses_in_32(tmp_path, sample_data):
    model = build_segmentor(tiny_config(PLAIN, sample_data, tmp_path).model)
    seen = []
    model.backbone.blocks[1][0].register_forward_hook(lambda *args: seen.append(args[2].dtype))
    img = 255 * torch.rand(2, 3, 16, 16)
    exact = model.forward_train(img, [{}] * 2)['loss_sim']
    model.autocast_dtype = torch.bfloat16
    rounded = model.forward_train(img, [{}] * 2)['loss_sim']
    rounded.backward()
    assert seen == [torch.float32, torch.bfloat16]
    assert rounded.dtype == torch.float32
    assert 0 < abs(rounded - exact) < 0.02 * exact
    assert all(weight.grad.dtype == torch.float32 for weight in model.parameters())


def test_a_training_in_16_bits_follows_that_in_32_and_goes_on_where_it_was_killed(
    tmp_path, sample_data
):
    exact = train(tiny_config(PLAIN, sample_data, tmp_path / 'exact'))
    rounded = train(tiny_config(PLAIN, sample_data, tmp_path / 'rounded', **AMP))
    name = 'decode_head.conv_seg.weight'
    assert rounded[name].dtype == torch.float32
    assert not torch.equal(rounded[name], exact[name])
    torch.testing.assert_close(rounded[name], exact[name], rtol=0, atol=0.02)
    train(tiny_config(PLAIN, sample_data, tmp_path / 'killed', **AMP), kill_after=3)
    config = tiny_config(PLAIN, sample_data, tmp_path / 'killed', **AMP)
    config.auto_resume = True
    assert torch.equal(train(config)[name], rounded[name])


@pytest.mark.parametrize(
    ('dtype', 'message'),
    [
        ('float16', r"dtype='float16' is for GPUs: use 'bfloat16' on a CPU"),
        ('half', r"optimizer_config\.dtype must be one of .*, got 'half'"),
    ],
)
def test_types_that_there_are_not_are_refused(tmp_path, sample_data, dtype, message):
    changes = copy.deepcopy(AMP)
    changes['optimizer_config']['dtype'] = dtype
    with pytest.raises(ValueError, match=message):
        train(tiny_config(PLAIN, sample_data, tmp_path, **changes))


@pytest.mark.parametrize(
    'changes', [{'fp16': {}}, {'optimizer_config': {'type': 'Fp16OptimizerHook'}}]
)
def test_what_has_no_effect_is_refused(changes):
    config = Config({'model': {'type': 'DynaSeg'}, **changes})
    with pytest.raises(ValueError, match=r'no effect on a DynaSeg: .*AmpOptimizerHook'):
        load_config(config)

import pytest
import torch
from mmcv import ConfigDict
from mmcv.runner import load_checkpoint
from mmseg.models import build_segmentor

import dynaseg.mmseg  # noqa: F401  (registers the models and the scheme)

CONFIG = {
    'type': 'DynaSeg',
    'backbone': {'type': 'PlainCNN', 'channels': 6},
    'decode_head': {'type': 'ResponseHead', 'in_channels': 6, 'num_classes': 5},
}


def weights(address):
    model = build_segmentor(ConfigDict(CONFIG))
    load_checkpoint(model, address, map_location='cpu', strict=True)
    return model.state_dict()


def equal(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_the_seed_alone_decides_the_weights():
    torch.manual_seed(1)
    first = weights('scratch://3')
    torch.manual_seed(2)
    assert equal(first, weights('scratch://3'))
    different = weights('scratch://4')
    convolutions = [name for name in first if name.endswith('weight') and first[name].ndim == 4]
    assert len(convolutions) == 3
    assert not any(torch.equal(first[name], different[name]) for name in convolutions)


def test_no_seed_is_seed_zero():
    assert equal(weights('scratch://'), weights('scratch://0'))


def test_a_trained_network_becomes_fresh():
    model = build_segmentor(ConfigDict(CONFIG))
    fresh = weights('scratch://')
    model.decode_head(model.extract_feat(torch.rand(2, 3, 8, 8)))  # moves the running statistics
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1)
    load_checkpoint(model, 'scratch://', map_location='cpu', strict=True)
    assert equal(fresh, model.state_dict())


def test_the_global_generator_is_left_alone():
    model = build_segmentor(ConfigDict(CONFIG))
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    load_checkpoint(model, 'scratch://7', map_location='cpu')
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize('seed', ['x', '-1', '1.5'])
def test_a_bad_seed_is_named(seed):
    with pytest.raises(
        ValueError, match=rf'scratch://{seed}: expected scratch:// or scratch://SEED'
    ):
        weights(f'scratch://{seed}')


def test_fresh_weights_are_not_loaded_ones(tmp_path):
    neck = {'type': 'NoiseWhitening', 'in_channels': 6, 'out_channels': 4}
    head = {'type': 'ResponseHead', 'in_channels': 4, 'num_classes': 5}
    model = build_segmentor(ConfigDict({**CONFIG, 'neck': neck, 'decode_head': head}))
    parts = model, model.neck, model.decode_head
    load_checkpoint(model, 'scratch://3', map_location='cpu', strict=True)
    assert not any(part.was_loaded for part in parts)
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'a.pth')
    load_checkpoint(model, str(tmp_path / 'a.pth'), map_location='cpu', strict=True)
    assert all(part.was_loaded for part in parts)
    load_checkpoint(model, 'scratch://3', map_location='cpu', strict=True)
    assert not any(part.was_loaded for part in parts)

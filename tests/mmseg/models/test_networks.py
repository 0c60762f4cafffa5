import pytest
import torch
from mmseg.models import build_backbone, build_head

import dynaseg.mmseg  # noqa: F401  (registers the models)
from dynaseg.core.networks import PlainCNN, ResponseNetwork


def test_plain_cnn_keeps_the_resolution():
    backbone = build_backbone({'type': 'PlainCNN'})
    (features,) = backbone(torch.rand(2, 3, 12, 9))
    assert features.shape == (2, 100, 12, 9)
    kinds = [[type(layer).__name__ for layer in block] for block in backbone.blocks]
    assert kinds == [['Conv2d', 'ReLU', 'BatchNorm2d']] * 2


def test_plain_cnn_returns_the_chosen_blocks_in_order():
    backbone = PlainCNN(in_channels=1, channels=4, num_blocks=3, out_indices=(0, 2))
    img = torch.rand(2, 1, 5, 6)
    first, last = backbone(img)
    torch.testing.assert_close(first, backbone.blocks[0](img))
    torch.testing.assert_close(last, backbone.blocks[2](backbone.blocks[1](first)))


def test_network_of_the_core_is_that_of_the_segmentor():
    torch.manual_seed(0)
    backbone = build_backbone({'type': 'PlainCNN', 'channels': 6})
    head = build_head({'type': 'ResponseHead', 'in_channels': 6, 'num_classes': 6})
    network = ResponseNetwork(channels=6)
    values = [*backbone.state_dict().values(), *head.state_dict().values()]
    network.load_state_dict(dict(zip(network.state_dict(), values, strict=True)))
    img = torch.rand(2, 3, 9, 11)
    torch.testing.assert_close(network(img), head(backbone(img)))


@pytest.mark.parametrize('out_indices', [(2,), (-1,), (0, 5)])
def test_plain_cnn_refuses_blocks_that_it_has_not(out_indices):
    with pytest.raises(ValueError, match=r'out_indices must lie in \[0, 2\)'):
        PlainCNN(num_blocks=2, out_indices=out_indices)


def test_head_normalises_every_channel():
    torch.manual_seed(0)
    head = build_head({'type': 'ResponseHead', 'in_channels': 8, 'num_classes': 5})
    response = head([100 * torch.rand(2, 8, 10, 11)])
    assert response.shape == (2, 5, 10, 11)
    torch.testing.assert_close(response.mean(dim=(0, 2, 3)), torch.zeros(5), rtol=0, atol=1e-4)
    torch.testing.assert_close(
        response.var(dim=(0, 2, 3), unbiased=False), torch.ones(5), rtol=0, atol=1e-3
    )


def test_head_takes_one_of_several_levels():
    head = build_head({'type': 'ResponseHead', 'in_channels': 6, 'in_index': 1, 'num_classes': 4})
    levels = [torch.rand(1, 3, 16, 16), torch.rand(1, 6, 8, 8)]
    assert head(levels).shape == (1, 4, 8, 8)


def test_head_joins_several_levels_at_the_first_ones_resolution():
    head = build_head(
        {'type': 'ResponseHead', 'in_channels': [3, 6], 'in_index': [0, 1], 'num_classes': 4}
    )
    levels = [torch.rand(1, 3, 16, 12), torch.rand(1, 6, 8, 6)]
    response = head(levels)
    assert response.shape == (1, 4, 16, 12)
    response[:, 0].abs().sum().backward()
    assert (head.conv_seg.weight.grad[0] != 0).all()


def test_head_uses_the_loss_it_is_given():
    loss = {'type': 'DynaSegLoss', 'weighting': 'fixed', 'mu': 3.0}
    head = build_head(
        {'type': 'ResponseHead', 'in_channels': 4, 'num_classes': 4, 'loss_decode': loss}
    )
    assert head.losses(torch.rand(1, 4, 6, 6))['weight'].item() == 3

import socket

import mmseg.apis.train
import pytest
import torch
import torch.multiprocessing
from sharing import PROCESSES, images, network, train, train_a_part
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from dynaseg.mmseg import batch_norm


def test_processes_together_train_as_one_does(tmp_path):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    expected = train(network(), images())
    torch.multiprocessing.spawn(train_a_part, (port, tmp_path), nprocs=PROCESSES)
    parts = [torch.load(tmp_path / f'{rank}.pth', weights_only=True) for rank in range(PROCESSES)]
    for name, value in expected.items():
        torch.testing.assert_close(parts[0][name], value, rtol=0, atol=1e-9)
        assert torch.equal(parts[0][name], parts[1][name])


class Activating(nn.BatchNorm2d):
    """As timm's, which would lose its activation."""

    def forward(self, img):
        return super().forward(img).relu()


def test_only_plain_normalisations_take_part():
    model = batch_norm.synchronise(nn.Sequential(nn.BatchNorm2d(2), Activating(2), nn.ReLU()))
    assert [type(child) for child in model] == [nn.SyncBatchNorm, Activating, nn.ReLU]


def test_one_process_on_a_cpu_rounds_as_several_do():
    model = mmseg.apis.train.build_dp(network(), 'cpu')
    kinds = [type(module) for module in model.modules() if isinstance(module, _BatchNorm)]
    assert kinds == [nn.SyncBatchNorm, nn.SyncBatchNorm]
    batch = 5 * torch.rand(4, 6, 9, 7).contiguous(memory_format=torch.channels_last)
    exact = nn.BatchNorm2d(6).double()(batch.double())
    assert (nn.SyncBatchNorm(6)(batch).double() - exact).abs().max() < 1e-6


def test_statistics_of_bfloat16_are_not():
    img = (3 + torch.rand(2, 4, 60, 70)).bfloat16()
    norm, alone = nn.SyncBatchNorm(4), nn.BatchNorm2d(4)
    normalised = norm(img)
    assert normalised.dtype == torch.bfloat16
    torch.testing.assert_close(normalised, alone(img), rtol=0.01, atol=0.01)
    torch.testing.assert_close(norm.running_mean, alone.running_mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(norm.running_var, alone.running_var, rtol=1e-4, atol=1e-6)


def test_alone_it_is_pytorchs():
    norm, alone = nn.SyncBatchNorm(4), nn.BatchNorm2d(4)
    for img in (torch.rand(3, 4, 5, 6), torch.rand(2, 4, 3, 3)):
        torch.testing.assert_close(norm(img), alone(img), rtol=1e-5, atol=1e-5)
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(norm.state_dict()[name], value)
    assert torch.equal(
        norm.eval()(img),
        nn.functional.batch_norm(img, norm.running_mean, norm.running_var, norm.weight, norm.bias),
    )
    with pytest.raises(ValueError, match='more than 1 value per channel'):
        norm.train()(torch.rand(1, 4, 1, 1))

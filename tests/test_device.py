import pytest
import torch

from dynaseg.device import find_device


@pytest.mark.parametrize(('there', 'expected'), [(False, 'cpu'), (True, 'cuda')])
def test_the_gpu_is_the_default_where_there_is_one(monkeypatch, there, expected):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: there)
    assert find_device() == find_device(None) == torch.device(expected)


def test_devices_may_be_named_or_given():
    assert find_device('cpu') == find_device(torch.device('cpu')) == torch.device('cpu')


def test_gpus_that_are_there_are_found(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    assert find_device('cuda:1') == torch.device('cuda', 1)
    assert find_device('cuda') == torch.device('cuda')
    with pytest.raises(ValueError, match=r"device 'cuda:2' is not there: PyTorch sees 2 GPUs"):
        find_device('cuda:2')


def test_absent_and_unknown_devices_are_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 0)
    with pytest.raises(ValueError, match=r"device 'cuda' is not there: PyTorch sees 0 GPUs"):
        find_device(torch.device('cuda'))
    with pytest.raises(ValueError, match="device 'nonsense' is unknown: expected 'cpu', 'cuda'"):
        find_device('nonsense')


@pytest.mark.skipif(torch.backends.mps.is_available(), reason='there is one')
def test_a_device_of_another_machine_is_named():
    with pytest.raises(ValueError, match=r"device 'mps' is not there: .*MPS"):
        find_device('mps')

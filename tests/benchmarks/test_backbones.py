import sys
from importlib import import_module

import pytest


@pytest.fixture
def backbones(root, monkeypatch):
    monkeypatch.syspath_prepend(root / 'benchmarks')
    yield import_module('backbones')
    sys.modules.pop('backbones')


def test_costs_are_those_of_the_config(backbones, monkeypatch):
    monkeypatch.setattr(backbones, 'SIZE', (64, 96))
    row = backbones.measure('fsf_efficientnet-lite0_200_camvid.py', batch_size=2, repeats=1)
    assert row['stride'] == 16
    assert row['backbone'] == 'EfficientNetLite0'
    assert row['parameters'] == 2_958_848
    assert min(row['train_images_per_s'], row['test_images_per_s']) > 0
    assert row['train_mib'] > 0

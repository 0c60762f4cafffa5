import pytest
import torch

from dynaseg.mmseg.build import build_segmentor_from
from dynaseg.mmseg.checks import ConfigError
from dynaseg.mmseg.checks.levels import check_image_size, check_levels
from dynaseg.mmseg.configs import load_config


@pytest.fixture(scope='module')
def config():
    return load_config('fsf_r18-fpn_100_sample.py').model


@pytest.fixture(scope='module')
def model():
    return build_segmentor_from('fsf_r18-fpn_100_sample.py', device='cpu')


def test_a_dry_pass_leaves_no_trace(model, config):
    model.train()
    model.backbone.layer1.eval()  # as where a part is frozen
    modes = [module.training for module in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    check_levels(model, config, 3)
    check_image_size(model, (40, 48), 3, 'data')
    assert torch.equal(state, torch.get_rng_state())
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize('size', [(2, 40), (40, 4)])
def test_images_without_neighbouring_features_are_refused(model, size):
    with pytest.raises(ConfigError, match=rf'data gives images of {size[0]} x {size[1]} pixels'):
        check_image_size(model, size, 3, 'data')


def test_images_that_are_enlarged_in_training_may_be_small():
    config = load_config('fsf_r18-fpn_100_sample.py')
    config.model.update(
        train_cfg={'as_tested': True}, test_cfg={'mode': 'whole', 'predict_scale': 4}
    )
    model = build_segmentor_from(config, device='cpu')
    check_image_size(model, (4, 40), 3, 'data')
    with pytest.raises(ConfigError, match='data gives images of 1 x 40 pixels'):
        check_image_size(model, (1, 40), 3, 'data')


class Strange(torch.nn.Module):
    """A backbone whose output is none that a head takes."""

    def __init__(self, output):
        super().__init__()
        self.output = output

    def forward(self, img):
        return self.output


@pytest.mark.parametrize(
    ('output', 'message'),
    [
        (torch.zeros(1, 4, 8, 8), 'model.backbone: Strange gives one Tensor: expected a list'),
        ([torch.zeros(1, 9, 4)], r'level 0 of Strange is \(1, 9, 4\): expected \(N, C, h, w\)'),
        ([(1, 2)], 'level 0 of Strange is tuple'),
    ],
)
def test_backbones_must_give_a_list_of_maps(model, config, monkeypatch, output, message):
    monkeypatch.setattr(model, 'backbone', Strange(output))
    with pytest.raises(ConfigError, match=message):
        check_levels(model, {**config, 'backbone': {'type': 'Strange'}}, 3)

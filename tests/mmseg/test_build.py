import pytest
import torch
from mmcv import Config
from mmcv.runner import save_checkpoint

from dynaseg.mmseg.build import build_segmentor_from
from dynaseg.mmseg.configs import find_config
from dynaseg.mmseg.models import DynaSeg

NAME = 'dynaseg/scf_plain-cnn_100_sample.py'


def weights(segmentor):
    return torch.cat([parameter.flatten() for parameter in segmentor.parameters()])


def test_builds_in_evaluation_mode():
    segmentor = build_segmentor_from(NAME, device='cpu')
    assert isinstance(segmentor, DynaSeg)
    assert not segmentor.training


def test_images_are_normalised_as_the_config_says(tmp_path):
    path = tmp_path / 'other.py'
    norm = {'mean': [1.0, 2.0, 3.0], 'std': [4.0, 5.0, 6.0], 'to_rgb': True}
    path.write_text(f'_base_ = {str(find_config(NAME))!r}\nmodel = dict(img_norm_cfg={norm!r})')
    normalise = build_segmentor_from(path, device='cpu').normalise
    pixels = torch.tensor([11.0, 12.0, 13.0]).view(1, 3, 1, 1)  # BGR
    assert normalise(pixels).flatten().tolist() == pytest.approx([12 / 4, 10 / 5, 8 / 6])
    assert normalise.to_rgb is True
    bare = Config({'model': Config.fromfile(find_config(NAME)).model})
    normalise = build_segmentor_from(bare, device='cpu').normalise
    assert normalise.normalization.mean == (123.675, 116.28, 103.53)


def test_seed_decides_the_weights():
    first = weights(build_segmentor_from(NAME, device='cpu'))
    torch.rand(3)
    assert torch.equal(first, weights(build_segmentor_from(NAME, device='cpu', seed=0)))
    assert not torch.equal(first, weights(build_segmentor_from(NAME, device='cpu', seed=1)))


def test_checkpoint_is_loaded(tmp_path):
    trained = build_segmentor_from(NAME, device='cpu', seed=5)
    path = tmp_path / 'trained.pth'
    save_checkpoint(trained, str(path))
    loaded = build_segmentor_from(NAME, path, 'cpu')
    assert torch.equal(weights(trained), weights(loaded))


def test_checkpoint_of_another_model_is_an_error(tmp_path):
    path = tmp_path / 'other.pth'
    torch.save({'state_dict': {'backbone.conv.weight': torch.zeros(3)}}, path)
    with pytest.raises(ValueError, match=r'other\.pth: cannot be loaded as a checkpoint'):
        build_segmentor_from(NAME, path, 'cpu')


def test_damaged_and_absent_checkpoints_are_errors(tmp_path):
    path = tmp_path / 'damaged.pth'
    path.write_bytes(b'no checkpoint')
    with pytest.raises(ValueError, match=r'damaged\.pth: cannot be loaded as a checkpoint'):
        build_segmentor_from(NAME, path, 'cpu')
    torch.save(build_segmentor_from(NAME, device='cpu').state_dict(), path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r'damaged\.pth: .* it is damaged'):
        build_segmentor_from(NAME, path, 'cpu')
    with pytest.raises(FileNotFoundError, match=r'absent\.pth'):
        build_segmentor_from(NAME, tmp_path / 'absent.pth', 'cpu')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('a = ', 'not a valid config'),
        ('a = 1', 'has no `model`'),
        ("model = dict(type='Nothing')", 'cannot be built.*Nothing'),
        ("model = dict(type='DynaSeg')", 'cannot be built'),
    ],
)
def test_unfit_config_is_an_error_that_names_it(tmp_path, content, message):
    path = tmp_path / 'unfit.py'
    path.write_text(content)
    with pytest.raises(ValueError, match=rf'unfit\.py.*{message}'):
        build_segmentor_from(path, device='cpu')


def test_model_that_is_no_dynaseg_is_an_error():
    model = {
        'type': 'EncoderDecoder',
        'backbone': {'type': 'PlainCNN'},
        'decode_head': {'type': 'FCNHead', 'in_channels': 100, 'channels': 4, 'num_classes': 3},
        'test_cfg': {'mode': 'whole'},
    }
    with pytest.raises(ValueError, match=r"the config: .* type 'DynaSeg', got 'EncoderDecoder'"):
        build_segmentor_from(Config({'model': model}), device='cpu')


@pytest.mark.parametrize('device', ['nonsense', 'cuda:99'])
def test_absent_device_is_an_error(device):
    with pytest.raises(ValueError, match=f"device '{device}'"):
        build_segmentor_from(NAME, device=device)


def test_negative_seed_is_an_error():
    message = r'seed must be an integer of at least 0 and below 2\^63, got -1'
    with pytest.raises(ValueError, match=message):
        build_segmentor_from(NAME, device='cpu', seed=-1)

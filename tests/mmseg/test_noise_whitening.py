import numpy as np
import pytest
import torch
from mmcv import ConfigDict
from mmcv.parallel import MMDataParallel
from mmcv.runner import build_runner
from mmcv.utils import get_logger
from mmseg.models import build_segmentor
from skimage.color import rgb2lab

from dynaseg.core.whitening import NoiseStatistics, fit_whitening
from dynaseg.mmseg import KMeansStartHook, NoiseWhiteningHook
from dynaseg.mmseg.noise_whitening_start import mean_lab

NECK = {'type': 'NoiseWhitening', 'in_channels': 40, 'out_channels': 6, 'target': 0}
HOOK = {'components': 12}


class Noise(torch.utils.data.Dataset):
    """Images of two halves with noise, pixels, BGR."""

    def __len__(self):
        return 5

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        img = torch.randint(256, (3, 1, 1), generator=generator).expand(3, 64, 96).clone()
        img[:, :, 48:] = torch.randint(256, (3, 1, 1), generator=generator)
        img = img + torch.randint(-9, 10, img.shape, generator=generator)
        return {'img': img.clamp(0, 255).to(torch.uint8), 'img_metas': {}}


def build(neck):
    config = {
        'type': 'DynaSeg',
        'backbone': {'type': 'EfficientNetLite0', 'out_indices': (2,), 'pretrained': False},
        'neck': neck,
        'decode_head': {
            'type': 'ResponseHead',
            'in_channels': 6 if neck is NECK else 40,
            'num_classes': 4,
        },
    }
    torch.manual_seed(0)
    model = build_segmentor(ConfigDict(config))
    for module in model.backbone.modules():  # a random network in evaluation mode fades out
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.fill_(0.01)
    return model


def train(model, *hooks, iterations=1, start=0):
    model = MMDataParallel(model, device_ids=[])
    settings = {
        'model': model,
        'optimizer': torch.optim.SGD(model.parameters(), lr=0.0),
        'logger': get_logger('test'),
        'work_dir': None,
        'meta': {'seed': 0},
    }
    runner = build_runner({'type': 'IterBasedRunner', 'max_iters': start + iterations}, settings)
    runner._iter = start
    for hook in hooks:
        runner.register_hook(hook)
    loader = torch.utils.data.DataLoader(
        Noise(),
        collate_fn=lambda items: {
            'img': torch.stack([item['img'] for item in items]),
            'img_metas': [item['img_metas'] for item in items],
        },
    )
    runner.run([loader], [('train', 1)])
    return model.module


def distance(first, second):
    """How far the metrics of two transforms are apart, relative to the second."""
    first, second = (matrix.T @ matrix for matrix in (first, second))
    return float((first - second).norm() / second.norm())


def test_the_neck_is_fitted_to_the_training_set():
    model = train(build(NECK), NoiseWhiteningHook(**HOOK))
    statistics = NoiseStatistics(40)
    for index in range(len(Noise())):
        img = Noise()[index]['img'][None]
        cells = img[0].float().reshape(3, 8, 8, 12, 8).mean(dim=(2, 4)).flip(0)
        lab = torch.from_numpy(rgb2lab(cells.permute(1, 2, 0).numpy() / 255)).permute(2, 0, 1)
        with torch.no_grad():
            (level,) = model.eval().backbone(model.normalise(img))
        statistics.add(torch.nn.functional.normalize(level, dim=1)[0], lab)
    transform = fit_whitening(statistics, components=12, dimensions=6)
    torch.testing.assert_close(model.neck.mean, transform.mean)
    assert distance(model.neck.matrix, transform.matrix) < 0.01


def test_features_are_whitened_and_of_unit_length():
    model = train(build(NECK), NoiseWhiteningHook(**HOOK)).eval()
    img = Noise()[0]['img'][None]
    with torch.no_grad():
        features = model.features(img)[0].flatten(1)
        (level,) = model.backbone(model.normalise(img))
    level = torch.nn.functional.normalize(level[0].flatten(1), dim=0)
    expected = model.neck.matrix @ (level - model.neck.mean[:, None])
    torch.testing.assert_close(features, expected / expected.norm(dim=0), rtol=1e-3, atol=1e-4)


def test_clusters_start_in_the_whitened_space_and_checkpoints_hold_it(tmp_path):
    hooks = NoiseWhiteningHook(**HOOK), KMeansStartHook(pixels_per_image=50)
    model = train(build(NECK), *hooks).eval()
    torch.save(model.state_dict(), tmp_path / 'weights.pth')
    other = build(NECK).eval()
    assert not torch.equal(other.neck.matrix, model.neck.matrix)
    other.load_state_dict(torch.load(tmp_path / 'weights.pth', weights_only=True))
    img = Noise()[0]['img'][None]
    with torch.no_grad():
        first, again = model.predict(img), other.predict(img)
    assert torch.equal(first, again)
    assert len(first.argmax(dim=1).unique()) > 1


def test_a_training_that_goes_on_keeps_the_neck():
    model = build(NECK)
    before = model.neck.matrix.clone()
    train(model, NoiseWhiteningHook(**HOOK), start=1)
    assert torch.equal(model.neck.matrix, before)


@pytest.mark.parametrize('neck', [None, {'type': 'NormalizedLevels'}])
def test_another_neck_is_refused(neck):
    with pytest.raises(ValueError, match=r"needs a neck of type 'NoiseWhitening', got '"):
        train(build(neck), NoiseWhiteningHook())


def test_each_part_that_a_checkpoint_lacks_is_fitted():
    parts = ('neck.matrix', 'decode_head.conv_seg.weight')
    weights = train(build(NECK), NoiseWhiteningHook(**HOOK), KMeansStartHook()).state_dict()
    for lacking, kept in (parts, parts[::-1]):
        model = build(NECK)
        random = model.state_dict()[lacking].clone()
        part = f'{lacking.partition(".")[0]}.'
        model.allow_missing = (part,)
        given = {name: one for name, one in weights.items() if not name.startswith(part)}
        model.load_state_dict(given, strict=False)
        after = train(model, NoiseWhiteningHook(**HOOK), KMeansStartHook(seed=5)).state_dict()
        assert not torch.equal(after[lacking], random)
        assert torch.equal(after[kept], weights[kept])


def test_colours_of_cells_are_their_means_in_lab():
    img = Noise()[0]['img'][None]
    lab = mean_lab(img, (2, 3))
    cell = img[0, :, :32, 64:].float().mean(dim=(1, 2)).flip(0).numpy() / 255
    np.testing.assert_allclose(lab[:, 0, 2], rgb2lab(cell[None, None])[0, 0], atol=1e-3)


def test_more_channels_than_components_are_refused_before_any_image(monkeypatch):
    hook = NoiseWhiteningHook(**HOOK | {'components': 5})
    with pytest.raises(ValueError, match=r'model.neck.out_channels=6: .*NoiseWhiteningHook \(5\)'):
        train(build(NECK), hook)

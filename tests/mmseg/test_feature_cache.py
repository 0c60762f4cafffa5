import errno
import logging
import os
import time
from pathlib import Path

import pytest
import torch
from mmcv import ConfigDict
from mmcv.runner import load_checkpoint
from mmseg.models import build_segmentor
from torch import nn

import dynaseg.mmseg  # noqa: F401  (registers the models)
from dynaseg.mmseg.errors import UserError
from dynaseg.mmseg.feature_cache import GIB, FeatureCache, LevelMemory


class Counting:
    """Computes two levels of an image and counts how often."""

    def __init__(self):
        self.calls = 0

    def __call__(self, image):
        self.calls += 1
        return [image.float() / 3, image.float().mean(dim=(2, 3), keepdim=True)]


@pytest.fixture
def images():
    return torch.randint(256, (3, 3, 8, 8), generator=torch.Generator().manual_seed(0))


def frozen(seed=0):
    torch.manual_seed(seed)
    return nn.Conv2d(3, 2, 1).requires_grad_(False)


def stored(folder):
    return sorted(folder.glob('*/*'))


def test_an_image_is_computed_once_and_is_the_same_again(tmp_path, images):
    compute = Counting()
    first = FeatureCache(frozen(), '', tmp_path)(images[[0, 1, 0]], compute)
    again = FeatureCache(frozen(), '', tmp_path)(images[[1, 0]], compute)
    assert compute.calls == len(stored(tmp_path)) == 2
    assert [tuple(level.shape) for level in first] == [(3, 3, 8, 8), (3, 3, 1, 1)]
    for one, other in zip(first, again, strict=True):
        assert one.dtype == torch.float32
        assert torch.equal(one[[1, 0]], other)
    torch.testing.assert_close(first[0], images[[0, 1, 0]] / 3, rtol=1e-3, atol=0)


@pytest.mark.parametrize(('seed', 'settings'), [(1, ''), (0, 'at twice the size')])
def test_other_weights_or_settings_have_other_levels(tmp_path, images, seed, settings):
    compute = Counting()
    FeatureCache(frozen(), '', tmp_path)(images[:1], compute)
    FeatureCache(frozen(seed), settings, tmp_path)(images[:1], compute)
    assert compute.calls == 2
    assert len(list(tmp_path.iterdir())) == 2


def flip_a_bit(data):
    value = torch.tensor(77 / 3).half().numpy().tobytes()
    place = data.index(value)
    return data[:place] + bytes([value[0] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize(
    'damage', [lambda data: data[:-30], lambda data: b'', lambda data: b'no', flip_a_bit]
)
def test_damaged_files_are_recomputed(tmp_path, images, damage, caplog):
    images[0, 0, 4, 4] = 77
    compute = Counting()
    cache = FeatureCache(frozen(), '', tmp_path)
    first = cache(images[:1], compute)
    (path,) = stored(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    with caplog.at_level(logging.INFO):
        again = cache(images[:1], compute)
    assert compute.calls == 2
    assert torch.equal(first[0], again[0])
    cache(images[:1], compute)
    assert compute.calls == 2  # it was written again


def test_the_folder_is_bounded_and_other_networks_leave_first(tmp_path, images):
    compute = Counting()
    FeatureCache(frozen(1), '', tmp_path)(images[:2], compute)
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'levels.pt').write_text('not of the cache')
    size = stored(tmp_path)[0].stat().st_size
    cache = FeatureCache(frozen(), '', tmp_path, max_gib=2.5 * size / GIB)
    cache(images, compute)
    assert len(list(cache.folder.iterdir())) == 2  # no more than fit, after the others had gone
    assert len(stored(tmp_path)) == 3
    assert (tmp_path / 'mine' / 'levels.pt').exists()


def test_networks_whose_levels_are_read_stay(tmp_path, images):
    compute = Counting()
    caches = [FeatureCache(frozen(seed), '', tmp_path) for seed in range(2)]
    for cache in caches:
        cache(images[:1], compute)
    for age, cache in zip((20, 10), caches, strict=True):
        old = time.time() - age
        os.utime(cache.folder, (old, old))
    caches[0](images[:1], compute)
    size = stored(tmp_path)[0].stat().st_size
    FeatureCache(frozen(2), '', tmp_path, max_gib=2.5 * size / GIB)(images[:1], compute)
    assert [len(list(cache.folder.iterdir())) for cache in caches] == [1, 0]


def test_what_a_killed_process_left_counts_and_leaves_with_its_network(tmp_path, images):
    compute = Counting()
    other = FeatureCache(frozen(1), '', tmp_path)
    other(images[:1], compute)
    (levels,) = stored(tmp_path)
    size = levels.stat().st_size
    left, current = (levels.with_name(f'.{levels.name}.{part}.part') for part in ('0123', '4567'))
    levels.rename(left)
    os.utime(left, (0, 0))
    current.touch()  # which another process is writing
    cache = FeatureCache(frozen(), '', tmp_path, max_gib=1.5 * size / GIB)
    cache(images[:1], compute)
    assert [path for path in stored(tmp_path) if path.parent != cache.folder] == [current]
    assert len(list(cache.folder.iterdir())) == 1


def test_a_folder_that_cannot_be_made_is_named(tmp_path, images):
    (tmp_path / 'file').write_text('')
    cache = FeatureCache(frozen(), '', tmp_path / 'file')
    with pytest.raises(UserError, match=r'feature_cache\.folder: .*file'):
        cache(images, Counting())


def test_what_other_processes_store_counts(tmp_path, images):
    compute = Counting()
    FeatureCache(frozen(), '', tmp_path / 'one')(images[:1], compute)
    size = stored(tmp_path / 'one')[0].stat().st_size
    tmp_path = tmp_path / 'shared'
    first, second = (FeatureCache(frozen(), '', tmp_path, 2.5 * size / GIB) for _ in range(2))
    for image, cache in zip(images.split(1), (first, second, first), strict=True):
        cache(image, compute)
    assert len(stored(tmp_path)) == 2


def test_files_that_another_process_removes_meanwhile_do_not_count(tmp_path, images, monkeypatch):
    FeatureCache(frozen(), '', tmp_path)(images, Counting())
    found = Path.glob

    def remove_and_give(folder, pattern):
        paths = sorted(found(folder, pattern))
        for path in paths[:1]:
            path.unlink()
        return paths

    monkeypatch.setattr(Path, 'glob', remove_and_give)
    FeatureCache(frozen(1), '', tmp_path)(images, Counting())


def test_levels_are_of_full_precision_in_any_training(tmp_path, images):
    backbone = frozen()
    cache = FeatureCache(backbone, '', tmp_path)
    with torch.autocast('cpu', torch.bfloat16):
        (mixed,) = cache(images, lambda image: [backbone(image / 255)])
    expected = backbone(images / 255).half().float()
    assert torch.equal(mixed, expected)


def test_levels_beyond_half_precision_are_computed_each_time(tmp_path, images):
    levels = [torch.full((1, 2, 4, 4), 1e6)]
    cache = FeatureCache(frozen(), '', tmp_path)
    for _ in range(2):
        assert torch.equal(cache(images[:1], lambda image: levels)[0], levels[0])
    assert stored(tmp_path) == []


def test_a_full_disk_costs_no_training(tmp_path, images, monkeypatch, caplog):
    def fail(path, content):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr('dynaseg.mmseg.feature_cache.write_file', fail)
    compute = Counting()
    with caplog.at_level(logging.INFO, 'dynaseg'):
        FeatureCache(frozen(), '', tmp_path)(images[[0, 1, 0]], compute)
    assert compute.calls == 3
    assert caplog.text.count('No space left on device') == 1


def build(folder, frozen=True, **model):
    config = {
        'type': 'DynaSeg',
        'backbone': {
            'type': 'EfficientNetLite0',
            'out_indices': (2,),
            'pretrained': False,
            'frozen': frozen,
        },
        'decode_head': {'type': 'ResponseHead', 'in_channels': 40, 'num_classes': 5},
        'feature_cache': {'folder': str(folder)},
        **model,
    }
    torch.manual_seed(0)
    return build_segmentor(ConfigDict(config))


def test_training_reads_levels_and_tests_do_not(tmp_path):
    model = build(tmp_path).train()
    pixels = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    losses = model.forward_train(pixels, [{}] * 2)
    assert len(stored(tmp_path)) == 2
    model.backbone.forward = None  # it cannot be called again
    again = model.forward_train(pixels, [{}] * 2)
    assert torch.equal(losses['loss_sim'], again['loss_sim'])
    with pytest.raises(TypeError):
        model.eval().predict(pixels[:1])


def test_tests_read_the_levels_of_training_where_asked(tmp_path):
    model = build(
        tmp_path,
        train_cfg={'as_tested': True},
        feature_cache={'folder': str(tmp_path), 'tests': True},
    ).eval()
    pixels = torch.randint(256, (1, 3, 32, 32), dtype=torch.uint8)
    model.features(pixels)
    model.backbone.forward = None
    assert model.predict(pixels).shape == (1, 5, 32, 32)  # in float32: the same whole numbers
    with pytest.raises(TypeError):
        model.predict(pixels + 0.5)
    with pytest.raises(ValueError, match=r'feature_cache: tests=True needs train_cfg\.as_tested'):
        build(tmp_path, train_cfg={}, feature_cache={'folder': str(tmp_path), 'tests': True})


def test_tests_without_train_cfg_compute_their_levels(tmp_path):
    cache = {'folder': str(tmp_path), 'tests': True}
    model = build(tmp_path, train_cfg=None, feature_cache=cache).eval()  # as mim test builds it
    pixels = torch.randint(256, (1, 3, 32, 32), dtype=torch.uint8)
    assert model.predict(pixels).shape == (1, 5, 32, 32)
    assert stored(tmp_path) == []


def test_loaded_weights_have_levels_of_their_own(tmp_path):
    neck = {'type': 'NoiseWhitening', 'in_channels': 40, 'out_channels': 6}
    head = {'type': 'ResponseHead', 'in_channels': 6, 'num_classes': 5}
    model = build(tmp_path, neck=neck, decode_head=head)
    pixels = torch.randint(256, (1, 3, 32, 32), dtype=torch.uint8)
    for seed in (1, 2):
        load_checkpoint(model, f'scratch://{seed}', map_location='cpu')
        model.neck.matrix.copy_(torch.eye(6, 40))
        expected = model.apply_neck(model.backbone(model.normalise(pixels)))[0]
        torch.testing.assert_close(model.features(pixels), expected, rtol=0, atol=1e-2)


def test_training_as_tested_sees_enlarged_images(tmp_path):
    view = {'test_cfg': {'predict_scale': 2.0}, 'train_cfg': {'as_tested': True}}
    model = build(tmp_path, **view)
    pixels = torch.randint(256, (1, 3, 32, 48), dtype=torch.uint8)
    assert model.features(pixels).shape == (1, 40, 8, 12)
    model.cache = None
    assert model.features(pixels).shape == (1, 40, 8, 12)
    assert build(tmp_path).features(pixels).shape == (1, 40, 4, 6)
    assert len(list(tmp_path.iterdir())) == 2  # two ways of seeing


def test_a_trained_backbone_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r'feature_cache: only .* frozen backbone'):
        build(tmp_path, frozen=False)
    with pytest.raises(ValueError, match='max_gib must be positive, got 0'):
        FeatureCache(frozen(), '', tmp_path, max_gib=0)


def test_a_neck_without_trained_weights_is_not_computed_again(tmp_path):
    neck = {'type': 'NoiseWhitening', 'in_channels': 40, 'out_channels': 6}
    head = {'type': 'ResponseHead', 'in_channels': 6, 'num_classes': 5}
    model = build(tmp_path, neck=neck, decode_head=head).train()
    pixels = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    expected = model.apply_neck(model.training_levels(pixels))[0]
    assert torch.equal(model.features(pixels), expected)
    forward, model.neck.forward = model.neck.forward, None  # it cannot be called again
    assert torch.equal(model.features(pixels.flip(0)), expected.flip(0))
    model.forward_train(pixels, [{}] * 2)
    model.neck.forward = forward
    model.neck.mean += 0.1  # as a fit of the whitening would
    assert not torch.equal(model.features(pixels), expected)
    assert build(tmp_path).memory is None
    trained = build(
        tmp_path,
        neck={'type': 'FPN', 'in_channels': [40], 'out_channels': 6, 'num_outs': 1},
        decode_head=head,
    )
    assert trained.memory is None


def test_memory_holds_no_more_than_it_may():
    images = torch.arange(24, dtype=torch.uint8).view(2, 3, 2, 2)
    compute = Counting()
    memory = LevelMemory(frozen(), max_gib=1.5 * compute(images[:1])[0].nbytes / GIB)
    compute.calls = 0
    memory(images, compute)
    memory(images, compute)
    assert compute.calls == 3  # the second image is computed each time

import torch
import torch.nn.functional as F

from dynaseg.mmseg.models import NormalizedLevels


def test_levels_are_normalised_and_resized():
    torch.manual_seed(0)
    levels = [torch.randn(2, 3, 8, 12), torch.randn(2, 5, 4, 6), torch.randn(2, 4, 2, 3)]
    (features,) = NormalizedLevels(target=1)(levels)
    assert features.shape == (2, 12, 4, 6)
    expected = [
        F.normalize(F.avg_pool2d(levels[0], 2), dim=1),
        F.normalize(levels[1], dim=1),
        F.normalize(F.interpolate(levels[2], (4, 6), mode='bilinear'), dim=1),
    ]
    torch.testing.assert_close(features, torch.cat(expected, dim=1))


def test_odd_sizes_go_together():
    levels = [torch.randn(1, 2, 45, 60), torch.randn(1, 3, 23, 30), torch.randn(1, 4, 12, 15)]
    for target, size in enumerate([(45, 60), (23, 30), (12, 15)]):
        assert NormalizedLevels(target)(levels)[0].shape == (1, 9, *size)

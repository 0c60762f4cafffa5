import numpy as np
import pytest
import torch

from dynaseg.core.normalization import Normalization


def test_is_the_published_formula_in_float32():
    images = torch.randint(0, 256, (2, 3, 5, 7), generator=torch.Generator().manual_seed(0))
    mean, std = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    expected = (images.numpy() - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    for kind in (torch.uint8, torch.int64, torch.float32):
        result = Normalization()(images.to(kind))
        assert result.dtype == torch.float32
        np.testing.assert_allclose(result.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('channels', [1, 4, 9])
def test_any_number_of_channels(channels):
    values = torch.arange(1.0, channels + 1)
    normalization = Normalization(mean=tuple(values.tolist()), std=tuple((2 * values).tolist()))
    images = (3 * values).view(1, -1, 1, 1).expand(2, -1, 4, 5)
    torch.testing.assert_close(normalization(images), torch.ones(2, channels, 4, 5))


def test_is_linear_so_that_sizes_may_be_changed_before_or_after():
    images = torch.rand(1, 3, 8, 8) * 255
    halves = torch.nn.functional.interpolate(images, (4, 4), mode='area')
    after = torch.nn.functional.interpolate(Normalization()(images), (4, 4), mode='area')
    torch.testing.assert_close(Normalization()(halves), after, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ('mean', 'std'),
    [
        ((0.0,), (1.0, 1.0)),
        ((0.0, 0.0), (1.0, 0.0)),
        ((0.0, 0.0), (1.0, -2.0)),
        ((float('nan'),), (1.0,)),
    ],
)
def test_unfit_numbers_are_refused(mean, std):
    with pytest.raises(ValueError, match='mean and std must be equally many finite numbers, and'):
        Normalization(mean, std)

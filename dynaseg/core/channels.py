"""Input channels of fits: what a network sees of the image that it is fitted to."""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dynaseg.core.regions.filters import enlarge, halve, lab_image, smooth, sobel

CHANNELS = ('rgb', 'texture')
SPREAD_FLOOR = 1e-3
BAND_FLOOR = 0.002
DIRECTION_FLOOR = 0.02


def image_channels(image: np.ndarray, kind: str | np.ndarray = 'texture') -> Tensor:
    """Compute the channels that networks are fitted to, at half the image's size.

    Args:
        image: sRGB, uint8, or floating point in [0, 1], (H, W, 3).
        kind: ``'rgb'``: red, green and blue; ``'texture'``: colour and six measures of texture, see
            :func:`texture_channels`; each minus its mean, divided by its standard deviation. Or an
            array of any channels, (C, h, w), which is used unchanged.

    Returns:
        The channels, float32, (C, h, w).

    Raises:
        ValueError: if ``kind`` is none of these.

    Examples:
        >>> image_channels(np.zeros((10, 16, 3), np.uint8)).shape
        torch.Size([9, 5, 8])
    """
    if not isinstance(kind, str):
        channels = np.asarray(kind, dtype=np.float32)
        if channels.ndim != 3 or not channels.size:
            raise ValueError(f'kind must be an array (C, h, w), got one of shape {channels.shape}')
        return torch.from_numpy(channels)
    if kind not in CHANNELS:
        raise ValueError(f'kind must be one of {CHANNELS} or an array (C, h, w), got {kind!r}')
    if kind == 'rgb':
        rgb = np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)
        channels = halve(rgb if image.dtype == np.uint8 else 255 * rgb)
    else:
        channels = texture_channels(halve(lab_image(image)))
    return torch.from_numpy(standardize(channels))


def texture_channels(lab: np.ndarray) -> np.ndarray:
    """Compute colour, the energy of the lightness in four octaves, and its direction.

    With l the lightness, G_0 = l and G_1 to G_4 = l smoothed at 1, 2, 4 and 8 pixels: Lab; the
    logarithms of |G_k - G_(k+1)| smoothed at 2 + 2 k, plus .002, k = 0 to 3; and of the gradient
    (gx, gy) of G_1, whose length is m, (gx^2 - gy^2) / m and 2 gx gy / m smoothed at 4, divided by
    m smoothed at 4, plus .02.

    Args:
        lab: Lab / 100, float32, (3, H, W).

    Returns:
        The channels, float32, (9, H, W).
    """
    smoothed = [lab[0]] + [smooth(lab[0], sigma) for sigma in (1, 2, 4, 8)]
    bands = [
        np.log(smooth(np.abs(fine - coarse), 2 + 2 * k) + BAND_FLOOR)
        for k, (fine, coarse) in enumerate(itertools.pairwise(smoothed))
    ]
    gy, gx = sobel(smoothed[1])
    length = np.hypot(gx, gy)
    safe = np.maximum(length, np.finfo(np.float32).tiny)
    strength = smooth(length, 4) + DIRECTION_FLOOR
    directions = [smooth(part / safe, 4) / strength for part in (gx * gx - gy * gy, 2 * gx * gy)]
    return np.stack([*lab, *bands, *directions]).astype(np.float32)


def standardize(channels: np.ndarray) -> np.ndarray:
    """Subtract each channel's mean and divide by its standard deviation, (C, H, W)."""
    mean = channels.mean(axis=(1, 2), keepdims=True)
    return (channels - mean) / (channels.std(axis=(1, 2), keepdims=True) + SPREAD_FLOOR)


def principal_channels(level: np.ndarray, count: int, size: tuple[int, int]) -> np.ndarray:
    """Reduce a level of features to its principal components, as channels for fits.

    Args:
        level: features, (C, h, w).
        count: number of components, at most C.
        size: height and width of the channels.

    Returns:
        The components with the most variance, divided by the root of their mean variance, enlarged
        bilinearly, float32, (count, *size).
    """
    features = level.reshape(len(level), -1).astype(np.float64)
    features -= features.mean(axis=1, keepdims=True)
    variances, directions = np.linalg.eigh(features @ features.T / features.shape[1])
    kept = directions[:, ::-1][:, :count]
    scale = np.sqrt(max(variances[::-1][:count].mean(), np.finfo(np.float32).tiny))
    components = (kept.T @ features / scale).astype(np.float32)
    return enlarge(components.reshape(count, *level.shape[1:]), size)


def add_components(
    channels: Tensor, features: Sequence[np.ndarray], components: Sequence[int]
) -> Tensor:
    """Add principal components of the first levels of features to channels.

    Args:
        channels: (C, h, w).
        features: levels, each (C_i, h_i, w_i).
        components: number of components of each of the first levels.

    Returns:
        The channels and the components, float32, (C + sum of components, h, w).
    """
    principal = [
        torch.from_numpy(principal_channels(level, count, tuple(channels.shape[1:])))
        for level, count in zip(features, components, strict=False)
    ]
    return torch.cat([channels, *principal])

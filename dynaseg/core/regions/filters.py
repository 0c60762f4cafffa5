"""Smoothing, gradients and resizing, from which edges, descriptors and channels are made.

All maps are float32 arrays of shape (C, H, W), in NumPy, since SciPy's separable filters are the
fastest for one map on one core. Maps are mirrored beyond their borders.
"""

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from skimage.color import rgb2lab

TRUNCATE = 3.0  # standard deviations at which a Gaussian ends


def lab_image(image: np.ndarray) -> np.ndarray:
    """Convert an image to CIE Lab, divided by 100.

    Args:
        image: sRGB, uint8, or floating point in [0, 1], (H, W, 3).

    Returns:
        Lightness in [0, 1] and the two opponent colours, float32, (3, H, W).

    Examples:
        >>> abs(lab_image(np.full((1, 1, 3), 255, np.uint8))).ravel().round(2).tolist()
        [1.0, 0.0, 0.0]
    """
    if image.dtype == np.uint8:
        image = image.astype(np.float32) / 255
    lab = rgb2lab(image.astype(np.float32, copy=False)) / 100
    return np.ascontiguousarray(lab.transpose(2, 0, 1), dtype=np.float32)


def smooth(maps: np.ndarray, sigma: float) -> np.ndarray:
    """Filter maps, (..., H, W), with a Gaussian; its standard deviation is in pixels."""
    for axis in (-2, -1):
        maps = ndimage.gaussian_filter1d(maps, sigma, axis=axis, truncate=TRUNCATE)
    return maps


def differences(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take central differences, down and to the right, of maps (..., H, W).

    Examples:
        >>> down, right = differences(np.array([[[0.0, 1.0, 4.0]]]))
        >>> right.tolist(), down.tolist()
        ([[[0.5, 2.0, 1.5]]], [[[0.0, 0.0, 0.0]]])
    """
    padded = np.pad(maps, [(0, 0)] * (maps.ndim - 2) + [(1, 1), (1, 1)], mode='edge')
    down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    right = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    down *= 0.5
    right *= 0.5
    return down, right


def gradient_magnitude(maps: np.ndarray, sigma: float) -> np.ndarray:
    """Compute the scale-normalised length of the gradient of smoothed maps: G(m, s) of the edges.

    G(m, s) = s sqrt(sum over channels of |gradient of (Gaussian_s * m)|^2), so that an edge of a
    given contrast has about the same strength at every scale.

    Args:
        maps: (C, H, W).
        sigma: s, in pixels.

    Returns:
        The length, (H, W).
    """
    down, right = differences(smooth(maps, sigma))
    squares = np.einsum('chw,chw->hw', down, down)
    squares += np.einsum('chw,chw->hw', right, right)
    return sigma * np.sqrt(squares)


def sobel(lightness: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute Sobel derivatives, down and to the right, of a map (H, W); a step of 1 gives 1."""
    return tuple(ndimage.sobel(lightness, axis=axis) / 4 for axis in (0, 1))


def halve(maps: np.ndarray) -> np.ndarray:
    """Halve the height and width of maps, (C, H, W), by area averaging."""
    return shrink(maps, tuple(max(1, length // 2) for length in maps.shape[1:]))


def shrink(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Shrink maps, (C, H, W), to at most a size, (h, w), by area averaging."""
    size = tuple(map(min, maps.shape[1:], size))
    if size == maps.shape[1:]:
        return maps
    return F.interpolate(torch.from_numpy(maps)[None], size, mode='area')[0].numpy()


def enlarge(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarge maps, (C, h, w), to a size (H, W), bilinearly."""
    enlarged = F.interpolate(torch.from_numpy(maps)[None], size, mode='bilinear')
    return enlarged[0].numpy()

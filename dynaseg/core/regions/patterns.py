"""Local patterns of superpixels, compared in a metric that is fitted to the image.

Two superpixels of one texture differ in their patterns, by chance and by light; what distinguishes
neighbours everywhere in an image says little about where its regions end. So the patterns are
whitened by that noise, as the features of a data set are in :mod:`dynaseg.core.whitening`, but by
the neighbours of the one image: nothing is learned beforehand.

References:
    Green, Berman, Switzer, Craig: A transformation for ordering multispectral data in terms of
    image quality with implications for noise removal, IEEE Transactions on Geoscience and Remote
    Sensing 26(1), 1988
"""

import numpy as np
import scipy.fft
import scipy.linalg
import torch
import torch.nn.functional as F

from dynaseg.core.regions.descriptors import describe_feature
from dynaseg.core.regions.filters import halve
from dynaseg.core.regions.graph import RegionGraph

PATCH = 5  # pixels, odd
HALVINGS = 2  # patterns are found at half and at a quarter of the size
SMALLEST_VARIANCE = 1e-4  # of Lab / 100
DIMENSIONS = 12
RIDGE = 0.01  # share of white noise that is added, so that nearly constant patterns do not dominate


def describe_patterns(lab: np.ndarray, graph: RegionGraph) -> np.ndarray:
    """Describe superpixels by their local patterns, whitened, for features of descriptors.

    Args:
        lab: Lab / 100, float32, (3, H, W).
        graph: of the superpixels.

    Returns:
        The leading components of the patterns, summed over the pixels of each superpixel, (L, D).
    """
    sums = []
    for _ in range(HALVINGS):
        lab = halve(lab)
        sums.append(describe_feature(find_patterns(lab), graph))
    return whiten_by_neighbours(np.concatenate(sums, axis=1), graph)


def find_patterns(lab: np.ndarray) -> np.ndarray:
    """Find how strong each pattern is around each pixel, in proportion to all of them.

    A pattern is a basis function of the discrete cosine transform of 5 x 5 pixels, the constant one
    excepted, of one channel. Its strength is the absolute coefficient, divided by the root mean
    square of the coefficients of all channels, so that light and contrast do not matter.

    Args:
        lab: Lab / 100, float32, (3, H, W).

    Returns:
        The strengths, (72, H, W).

    Examples:
        >>> stripes = np.zeros((3, 6, 6), np.float32)
        >>> stripes[0, :, ::2] = 1
        >>> int(find_patterns(stripes)[:, 3, 3].argmax())  # the highest frequency across
        3
    """
    cosines = torch.from_numpy(scipy.fft.dct(np.eye(PATCH, dtype=np.float32), axis=0, norm='ortho'))
    basis = torch.einsum('ai,bj->abij', cosines, cosines).reshape(-1, 1, PATCH, PATCH)[1:]
    padded = F.pad(torch.from_numpy(lab)[:, None], (PATCH // 2,) * 4, mode='replicate')
    coefficients = F.conv2d(padded, basis)
    variances = coefficients.square().mean(dim=(0, 1)) + SMALLEST_VARIANCE
    return (coefficients.abs_() / variances.sqrt()).flatten(0, 1).numpy()


def whiten_by_neighbours(sums: np.ndarray, graph: RegionGraph) -> np.ndarray:
    """Whiten features of superpixels by the noise between neighbours (minimum noise fractions).

    With S the covariance of the superpixels' means, weighted by their areas, and N half the mean
    square of the differences between neighbours, weighted by the lengths of their borders, the
    components are v . f for the leading v of S v = q N v with v^T N v = 1. Each is multiplied by
    sqrt((q - 1) / q), the share of it that is signal, so that its variance is q - 1.

    Args:
        sums: over the pixels of each superpixel, (L, C).
        graph: of the superpixels.

    Returns:
        The components, summed over the pixels again, (L, min(12, C)); zero if neighbours are equal.
    """
    areas = graph.areas[:, None]
    means = sums / areas
    channels = means.shape[1]
    count = min(DIMENSIONS, channels)
    first, second = graph.borders.T
    steps = means[first] - means[second]
    noise = (steps * graph.lengths[:, None]).T @ steps / (2 * max(graph.lengths.sum(), 1))
    level = noise.trace() / channels
    if not level > 0:
        return np.zeros((len(means), count))
    centred = means - sums.sum(axis=0) / areas.sum()
    signal = (centred * areas).T @ centred / areas.sum()
    ratios, vectors = scipy.linalg.eigh(
        signal,
        noise + RIDGE * level * np.eye(channels),
        subset_by_index=[channels - count, channels - 1],
    )
    vectors *= np.sqrt(np.maximum(ratios - 1, 0) / np.maximum(ratios, 1))
    return means @ vectors * areas

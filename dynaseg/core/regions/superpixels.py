"""Superpixels: the leaves of a hierarchy of regions."""

import numpy as np
from skimage.measure import label
from skimage.morphology import reconstruction
from skimage.segmentation import watershed

LEVELS = 1000  # per unit, to which an edge's strength is rounded


def make_superpixels(strength: np.ndarray, min_depth: float = 0.05) -> np.ndarray:
    """Divide an image into the catchment basins of its edges, without the shallow ones.

    The markers are where the strength lies ``min_depth`` or more below what filling the basins
    leaves (see h-minima; Soille, Morphological Image Analysis, section 6.3): the floors of basins
    at least that deep, each connected part of a floor by itself. The watershed grows them to the
    edges.

    Args:
        strength: of the edges, (H, W).
        min_depth: a basin joins a deeper one if the lowest pass to it is no higher above the
            basin's floor than this; one of equal depth stays, whatever the pass.

    Returns:
        Superpixel of each pixel, 0 to L - 1 in the order of their first pixels by rows, int32,
        (H, W). Superpixels are 4-connected.

    Examples:
        >>> make_superpixels(np.array([[0.0, 0.0, 1.0, 0.0, 0.0, 0.02, 0.01, 0.5]]))
        array([[0, 0, 1, 1, 1, 1, 1, 1]], dtype=int32)
    """
    levels = np.rint(strength * LEVELS).astype(np.int16)
    depth = max(1, round(min_depth * LEVELS))
    filled = reconstruction(levels + depth, levels, method='erosion')
    markers = label(filled - levels >= depth, connectivity=2)
    return number_by_first_pixel(watershed(strength, markers))


def number_by_first_pixel(regions: np.ndarray) -> np.ndarray:
    """Number regions, (H, W), 0, 1, ... in the order of their first pixels by rows, int32.

    Examples:
        >>> number_by_first_pixel(np.array([[7, 7, 2], [7, 3, 2]]))
        array([[0, 0, 1],
               [0, 2, 1]], dtype=int32)
    """
    _, first, inverse = np.unique(regions, return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.int32)
    number[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    return number[inverse].reshape(regions.shape)

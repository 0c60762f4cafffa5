"""Cleaning up label maps."""

import numpy as np
from scipy.ndimage import distance_transform_edt
from skimage.measure import label


def merge_small_regions(labels: np.ndarray, min_pixels: int) -> np.ndarray:
    """Give the pixels of small connected components the label of the nearest larger one.

    Args:
        labels: cluster of each pixel, integers, (H, W).
        min_pixels: components (4-connected) of fewer pixels are merged.

    Returns:
        The labels, of the same type, (H, W); the input where every component is small.

    Example:
        >>> merge_small_regions(np.array([[0, 0, 0, 1], [0, 2, 0, 1]]), min_pixels=2)
        array([[0, 0, 0, 1],
               [0, 0, 0, 1]])
    """
    components = label(labels, connectivity=1, background=-1)
    small = np.bincount(components.ravel())[components] < min_pixels
    if small.all() or not small.any():
        return labels
    nearest = distance_transform_edt(small, return_distances=False, return_indices=True)
    return labels[tuple(nearest)]

"""Cleaning up label maps."""

import numpy as np
from scipy.ndimage import distance_transform_edt
from skimage.measure import label


def merge_small_regions(labels: np.ndarray, min_pixels: int, min_labels: int = 1) -> np.ndarray:
    """Give the pixels of small connected components the label of the nearest larger one.

    Args:
        labels: cluster of each pixel, integers, (H, W).
        min_pixels: components (4-connected) of fewer pixels are merged.
        min_labels: number of labels that are to stay, if there are so many: of those with the
            largest components, the largest component is not merged, however small.

    Returns:
        The labels, of the same type, (H, W); the input where every component is small.

    Example:
        >>> merge_small_regions(np.array([[0, 0, 0, 1], [0, 2, 0, 1]]), min_pixels=2)
        array([[0, 0, 0, 1],
               [0, 0, 0, 1]])
    """
    # Consecutive from 0, none of them background: every pixel belongs to a component.
    components = label(labels, connectivity=1, background=int(labels.min()) - 1) - 1
    sizes = np.bincount(components.ravel())
    large = sizes >= min_pixels
    if large.all() or not large.any():
        return labels
    label_of = np.empty(len(sizes), dtype=labels.dtype)
    label_of[components] = labels
    by_size = np.argsort(-sizes, kind='stable')
    largest = np.sort(np.unique(label_of[by_size], return_index=True)[1])  # places in by_size
    large[by_size[largest[:min_labels]]] = True
    nearest = distance_transform_edt(
        ~large[components], return_distances=False, return_indices=True
    )
    return labels[tuple(nearest)]

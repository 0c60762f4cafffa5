"""Label maps: numbering, connected components, cleaning up."""

import numpy as np
from scipy.ndimage import distance_transform_edt
from skimage.measure import label


def renumber(labels: np.ndarray) -> np.ndarray:
    """Renumber labels 0, 1, ... without gaps, keeping their order.

    Args:
        labels: integers, any shape.

    Returns:
        int64, of the same shape.

    Examples:
        >>> renumber(np.array([[7, 7], [2, 9]]))
        array([[1, 1],
               [0, 2]])
    """
    low, high = int(labels.min()), int(labels.max())
    if high - low >= labels.size:
        return np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
    present = np.zeros(high - low + 1, dtype=bool)  # ten times faster than sorting
    places = labels.astype(np.int64) - low
    present[places] = True
    return (np.cumsum(present) - 1)[places]


def connected_components(labels: np.ndarray) -> np.ndarray:
    """Number the connected regions of equal label; a pixel has four neighbours.

    Args:
        labels: integers, (H, W).

    Returns:
        Component of each pixel, 0 to K - 1, int32, (H, W).

    Raises:
        ValueError: if the labels are not a map of integers.

    Examples:
        >>> connected_components(np.array([[7, 7, 0], [0, 7, 7], [0, 0, 7]]))
        array([[0, 0, 1],
               [2, 0, 0],
               [2, 2, 0]], dtype=int32)
    """
    labels = check_label_map(labels, 'labels')
    background = int(labels.min()) - 1  # not a label: every pixel belongs to a component
    return label(labels, background=background, connectivity=1).astype(np.int32) - 1


def check_label_map(labels: np.ndarray, name: str) -> np.ndarray:
    """Raise ValueError with the name unless labels are a map of integers, (H, W)."""
    labels = np.asarray(labels)
    if labels.ndim != 2 or not labels.size or labels.dtype.kind not in 'iu':
        raise ValueError(
            f'{name} must be a non-empty map (H, W) of integers, '
            f'got {labels.dtype} of shape {labels.shape}'
        )
    return labels


def merge_small_regions(labels: np.ndarray, min_pixels: int, min_labels: int = 1) -> np.ndarray:
    """Give the pixels of small connected components the label of the nearest larger one.

    Args:
        labels: cluster of each pixel, integers, (H, W).
        min_pixels: components (4-connected) of fewer pixels are merged.
        min_labels: number of labels to keep, if there are that many: those with the largest
            components keep their largest one, however small.

    Returns:
        The labels, of the same type, (H, W); the input if every component is small.

    Examples:
        >>> merge_small_regions(np.array([[0, 0, 0, 1], [0, 2, 0, 1]]), min_pixels=2)
        array([[0, 0, 0, 1],
               [0, 0, 0, 1]])
    """
    components = connected_components(labels)
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


def find_deepest_pixels(labels: np.ndarray) -> dict[int, tuple[int, int, float]]:
    """Find for each label the pixel that lies furthest from other labels and the image's border.

    Args:
        labels: integers, (H, W).

    Returns:
        Row, column and the distance, in pixels, to the border of the label, by label; the
        first of several equally deep pixels.

    Examples:
        >>> find_deepest_pixels(np.repeat([[7, 7, 7, 7, 7, 2]], 5, axis=0))
        {2: (0, 5, 0.5), 7: (2, 2, 2.5)}
    """
    inside = np.ones(labels.shape, bool)  # whose neighbours all have the pixel's own label
    for axis in (0, 1):
        same = np.diff(labels, axis=axis) == 0
        ends = [(1, 0) if each == axis else (0, 0) for each in (0, 1)]
        inside &= np.pad(same, ends) & np.pad(same, [end[::-1] for end in ends])
    depths = distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1] + 0.5
    order = np.lexsort((-depths.ravel(), labels.ravel()))  # stable: the first of equal ones
    present, firsts = np.unique(labels.ravel()[order], return_index=True)
    rows, columns = np.unravel_index(order[firsts], labels.shape)
    return {
        int(label): (int(row), int(column), float(depths[row, column]))
        for label, row, column in zip(present, rows, columns, strict=True)
    }

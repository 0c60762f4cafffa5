"""Labels made of whole regions."""

import numpy as np
import torch
from torch import Tensor

from dynaseg.core.regions.build import check_image, lab_image
from dynaseg.core.regions.edges import find_edges
from dynaseg.core.regions.settings import PLAIN
from dynaseg.core.regions.superpixels import make_superpixels


def label_regions(labels: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Give each region the most frequent label of its pixels, which removes specks of others.

    Args:
        labels: see :func:`find_region_labels`.
        regions: as above; such as a fine cut of a hierarchy.

    Returns:
        The labels, of the same type, (H, W). A label that is nowhere the most frequent disappears.

    Raises:
        ValueError: see :func:`find_region_labels`.

    Examples:
        >>> labels = np.array([[3, 3, 1, 5], [3, 5, 5, 5]])
        >>> label_regions(labels, np.array([[0, 0, 0, 1], [0, 1, 1, 1]]))
        array([[3, 3, 3, 5],
               [3, 5, 5, 5]])
    """
    return find_region_labels(labels, regions)[regions]


def find_region_labels(labels: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Find the most frequent label of each region; the lowest one if there is a tie.

    Args:
        labels: label of each pixel, integers of at least 0, (H, W).
        regions: region of each pixel, 0 to K - 1, (H, W).

    Returns:
        The label of each region, of the labels' type, (K,).

    Raises:
        ValueError: if the maps differ in shape, or do not hold integers of at least 0.
    """
    for name, values in (('labels', labels), ('regions', regions)):
        if values.ndim != 2 or not values.size or values.dtype.kind not in 'iu' or values.min() < 0:
            raise ValueError(
                f'{name} must be a non-empty map (H, W) of integers of at least 0, '
                f'got {values.dtype} of shape {values.shape}'
            )
    if labels.shape != regions.shape:
        raise ValueError(
            f'labels and regions must have the same shape, got {labels.shape} and {regions.shape}'
        )
    known, places = None, labels.ravel()
    shape = int(regions.max()) + 1, int(labels.max()) + 1
    if shape[0] * shape[1] > labels.size:  # few of large numbers, such as ids, may be there
        known, places = np.unique(labels, return_inverse=True)
        shape = shape[0], len(known)
    pairs = regions.ravel().astype(np.int64) * shape[1] + places.ravel().astype(np.int64)
    counts = np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)
    most = counts.argmax(axis=1)
    return most.astype(labels.dtype) if known is None else known[most]


def average_over_superpixels(probabilities: Tensor, image: np.ndarray) -> Tensor:
    """Give every pixel the mean probabilities of its superpixel, whose outline follows the image.

    Args:
        probabilities: of labels, (C, H, W).
        image: sRGB, uint8, (H, W, 3).

    Returns:
        The probabilities, of the same type, (C, H, W).

    Raises:
        ValueError: if the image is not one, or has another size.

    Examples:
        >>> image = np.zeros((8, 8, 3), np.uint8)
        >>> image[:, 4:] = 255
        >>> ramp = torch.linspace(0, 1, 8).expand(1, 8, 8)
        >>> average_over_superpixels(ramp, image)[0, 0].round(decimals=2)
        tensor([0.2100, 0.2100, 0.2100, 0.2100, 0.7900, 0.7900, 0.7900, 0.7900])
    """
    image = check_image(image)
    if image.shape[:2] != probabilities.shape[1:]:
        raise ValueError(
            f'probabilities must have the size of the image, {image.shape[:2]}, got '
            f'{tuple(probabilities.shape[1:])}'
        )
    superpixels = make_superpixels(find_edges(lab_image(image)).strength, PLAIN.min_depth)
    places = torch.from_numpy(superpixels.ravel()).to(probabilities.device, torch.long)
    areas = torch.bincount(places)
    # In float32, sums over millions of pixels would lose what they add up.
    sums = torch.zeros(
        len(probabilities), len(areas), dtype=torch.float64, device=probabilities.device
    )
    for row, values in zip(sums, probabilities.flatten(1), strict=True):
        row.index_add_(0, places, values.double())
    means = (sums / areas).to(probabilities.dtype)
    return means[:, places].view_as(probabilities)

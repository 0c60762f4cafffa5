"""What soft segmentations, such as the predictions of fitted networks, say about borders."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from dynaseg.core.regions.filters import enlarge, gradient_magnitude
from dynaseg.core.regions.graph import RegionGraph, pooling_matrix

FINE_SCALE = 0.75
COARSE_SCALE = 1.5
GRADIENT_GAIN = 1.77  # brings a sharp border between two sure labels to about 1


@dataclass(frozen=True)
class SoftCues:
    """Strengths of the borders in soft segmentations, the mean over them.

    Attributes:
        contrast: Hellinger distance of the mean soft labels on the two sides, in [0, 1], (E,).
        fine: mean over the border of the gradient of the soft labels, (E,).
        coarse: the same at twice the scale, (E,).
    """

    contrast: np.ndarray
    fine: np.ndarray
    coarse: np.ndarray


def soft_labels(response: Tensor) -> Tensor:
    """Turn a response map into a soft segmentation.

    Args:
        response: of a network to an image, (q, h, w).

    Returns:
        Softmax over the channels that are the highest at some pixel, (K, h, w).

    Example:
        >>> import torch
        >>> soft_labels(torch.tensor([[[0.0, 2.0]], [[1.0, 1.0]], [[0.5, 0.5]]])).round(decimals=2)
        tensor([[[0.2700, 0.7300]],
        <BLANKLINE>
                [[0.7300, 0.2700]]])
    """
    return response[response.argmax(dim=0).unique()].softmax(dim=0)


def read_soft_maps(soft_maps: Sequence[np.ndarray], graph: RegionGraph) -> SoftCues:
    """Measure the borders of superpixels in soft segmentations.

    Args:
        soft_maps: probabilities of the labels of each segmentation, (K_i, h_i, w_i), in any size.
        graph: the superpixels and their borders.

    Returns:
        The strengths; zeros if there are no segmentations.
    """
    strengths = np.zeros((3, len(graph.borders)))
    matrices = {}
    first, second = graph.borders.T
    for soft in soft_maps:
        size = soft.shape[1:]
        if size not in matrices:
            matrices[size] = pooling_matrix(graph.leaves, size)
        shares = np.sqrt(matrices[size] @ soft.reshape(len(soft), -1).T)
        cosines = np.einsum('ek,ek->e', shares[first], shares[second])
        strengths[0] += np.sqrt(np.maximum(1 - cosines, 0))
        gradients = [gradient_magnitude(soft, sigma) for sigma in (FINE_SCALE, COARSE_SCALE)]
        for row, gradient in enumerate(enlarge(np.stack(gradients), graph.leaves.shape), start=1):
            strengths[row] += GRADIENT_GAIN * graph.border_sums(gradient) / graph.lengths
    return SoftCues(*strengths / max(len(soft_maps), 1))

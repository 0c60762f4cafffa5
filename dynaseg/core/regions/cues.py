"""What soft segmentations, such as the predictions of fitted networks, say about borders."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from dynaseg.core.regions.filters import enlarge, gradient_magnitude, shrink
from dynaseg.core.regions.graph import RegionGraph, pooling_matrix

FINE_SCALE = 0.75
COARSE_SCALE = 1.5
GRADIENT_GAIN = 1.77  # scales a sharp border between two certain labels to about 1


@dataclass(frozen=True)
class SoftCues:
    """Strengths of the borders in soft segmentations, averaged over them.

    Attributes:
        contrast: Hellinger distance of the mean soft labels on the two sides, in [0, 1], (E,).
        fine: mean over the border of the gradient of the soft labels, (E,).
        coarse: the same at twice the scale, (E,).
    """

    contrast: np.ndarray
    fine: np.ndarray
    coarse: np.ndarray


def soft_labels(response: Tensor) -> np.ndarray:
    """Turn a network's response map into soft labels, without those that no pixel has.

    Args:
        response: (1, q, h, w).

    Returns:
        Probabilities that sum to one at every pixel, float32, (K, h, w), for the K labels that are
        the most probable somewhere.

    Examples:
        >>> import torch
        >>> response = torch.tensor([[5.0, 0.0], [0.0, 5.0], [-1.0, -1.0]]).view(1, 3, 1, 2)
        >>> soft_labels(response).shape
        (2, 1, 2)
    """
    (response,) = response
    soft = response.softmax(dim=0)[response.argmax(dim=0).unique()]
    return (soft / soft.sum(dim=0)).cpu().numpy()


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
        soft = shrink(soft, graph.leaves.shape)  # or gradients between its pixels would be missed
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

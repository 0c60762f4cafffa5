"""An image in memory, and its segmentation by networks that are fitted to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from dynaseg.core.fitting import Fit, Fitter
from dynaseg.core.normalization import Normalization
from dynaseg.core.silhouette import estimate_num_clusters

if TYPE_CHECKING:
    from dynaseg.core.regions.hierarchy import RegionHierarchy


@dataclass(frozen=True)
class Segmentation:
    """The segmentation of an image.

    Attributes:
        labels: cluster of each pixel, integers from 0, (H, W).
        fit: how they came about where a network was fitted to the image; None where it was trained.
        hierarchy: the regions of the image at every detail; None where there are clusters alone.
        regions: connected regions at the detail that was asked for, integers from 0, (H, W), or
            None.
    """

    labels: np.ndarray
    fit: Fit | None = None
    hierarchy: 'RegionHierarchy | None' = None
    regions: np.ndarray | None = None


class FittedPredictor:
    """Segments images by fitting a network to each, from the same start.

    Args:
        network: maps normalised images (N, 3, H, W) to response maps (N, q, h, w); it is left
            unchanged, and images are segmented on its device.
        fitter: fits it.
        min_clusters: the least number of clusters of an image: a number, or ``'silhouette'`` for
            that of the image's colours (see :func:`dynaseg.core.estimate_num_clusters`).
        normalization: of the images.

    Raises:
        ValueError: if ``min_clusters`` is neither.

    Example:
        >>> from dynaseg.core import ResponseNetwork
        >>> predictor = FittedPredictor(ResponseNetwork(channels=8), Fitter(iterations=3))
        >>> segmentation, = predictor([np.zeros((8, 12, 3), np.uint8)])
        >>> segmentation.labels.shape, segmentation.fit.iterations
        ((8, 12), 3)
    """

    def __init__(
        self,
        network: nn.Module,
        fitter: Fitter,
        min_clusters: int | str = 1,
        normalization: Normalization | None = None,
    ) -> None:
        valid = isinstance(min_clusters, int) and min_clusters >= 1
        if not (valid or min_clusters == 'silhouette'):
            raise ValueError(
                f"min_clusters must be a positive integer or 'silhouette', got {min_clusters!r}"
            )
        self.network = network
        self.fitter = fitter
        self.min_clusters = min_clusters
        self.normalization = normalization or Normalization()

    def __call__(self, images: Sequence[np.ndarray]) -> list[Segmentation]:
        """Segment images; those of one size are fitted at once.

        Args:
            images: RGB, uint8, each (H, W, 3).

        Returns:
            One segmentation an image; its labels are numbered without gaps.
        """
        segmentations: list[Segmentation | None] = [None] * len(images)
        device = next(self.network.parameters()).device
        for shape in dict.fromkeys(image.shape for image in images):
            rows = [row for row, image in enumerate(images) if image.shape == shape]
            pixels = np.stack([images[row] for row in rows])
            batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(device)
            least = [self._least(images[row]) for row in rows]
            results = self.fitter(self.network, self.normalization(batch), least)
            for row, (labels, fit) in zip(rows, results, strict=True):
                segmentations[row] = Segmentation(labels.numpy(), fit)
        return segmentations

    def _least(self, image: np.ndarray) -> int:
        if self.min_clusters == 'silhouette':
            return estimate_num_clusters(image)[0]
        return self.min_clusters

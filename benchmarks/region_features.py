"""EfficientNet-Lite0's ImageNet features for the benchmark of regions."""

from functools import cache

import numpy as np
import torch

import dynaseg.mmseg  # noqa: F401  (registers the backbone)
from dynaseg.core.channels import add_components, image_channels
from dynaseg.core.regions import DEEP
from dynaseg.mmseg.models.predictors import BackboneFeatures

BACKBONE = {'type': 'EfficientNetLite0', 'out_indices': (1, 2, 3, 4)}
COMPONENTS = (6, 8, 8)  # of the first levels, for fits


@cache
def _backbone() -> BackboneFeatures:
    return BackboneFeatures(BACKBONE, DEEP.max_pixels)


def deep_features(image: np.ndarray) -> list[np.ndarray]:
    """Compute the levels, each (C, h, w), of an image, uint8, (H, W, 3), at twice its size."""
    return _backbone()(image)


def deep_channels(image: np.ndarray, features: list[np.ndarray]) -> torch.Tensor:
    """Compute channels for fits, of texture and of features, (31, h, w)."""
    return add_components(image_channels(image), features, COMPONENTS)

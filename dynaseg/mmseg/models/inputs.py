"""From a pipeline's pixels to the network's input."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from dynaseg.core.normalization import Normalization


class PixelNormalization:
    """Normalises pixels for a network; the only place where that is defined.

    Args:
        mean: mean of each channel, 0 to 255; ImageNet's by default.
        std: standard deviation of each channel; ImageNet's by default.
        to_rgb: whether the network sees RGB, otherwise BGR; ``mean`` and ``std`` in the same order.

    Raises:
        ValueError: see :class:`dynaseg.core.normalization.Normalization`; also if they do not have
            three channels.

    Examples:
        >>> pixels = torch.tensor([3, 2, 1], dtype=torch.uint8).view(1, 3, 1, 1)  # BGR
        >>> PixelNormalization(mean=(1.0, 2.0, 3.0), std=(1.0, 1.0, 1.0))(pixels).flatten().tolist()
        [0.0, 0.0, 0.0]
    """

    def __init__(
        self,
        mean: Sequence[float] = Normalization.mean,
        std: Sequence[float] = Normalization.std,
        to_rgb: bool = True,
    ) -> None:
        self.normalization = Normalization(tuple(mean), tuple(std))
        if len(mean) != len(Normalization.mean):
            raise ValueError(f'mean and std must have 3 channels, got {tuple(mean)}')
        self.to_rgb = to_rgb

    def __call__(self, img: Tensor) -> Tensor:
        """Normalise pixels, BGR, 0 to 255, (N, 3, H, W)."""
        return self.from_rgb(img.flip(1))

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.normalization}, to_rgb={self.to_rgb})'

    def from_rgb(self, img: Tensor) -> Tensor:
        """Normalise pixels, RGB, 0 to 255, (N, 3, H, W)."""
        img = self.normalization(img if self.to_rgb else img.flip(1))
        return img.contiguous(memory_format=torch.channels_last)  # faster, on CPUs too


def to_image(img: Tensor) -> np.ndarray:
    """Turn pixels, BGR, 0 to 255, (3, H, W), into an image, RGB, uint8, (H, W, 3)."""
    pixels = img.flip(0).permute(1, 2, 0)
    if pixels.is_floating_point():
        pixels = pixels.round().clamp(0, 255).to(torch.uint8)
    return pixels.contiguous().cpu().numpy()


def refuse_normalised(img_metas: Sequence[Mapping]) -> None:
    """Raise an error if a pipeline has normalised images, which the segmentor does itself.

    Args:
        img_metas: one dict per image, as the pipeline gives it.

    Raises:
        ValueError: if their ``img_norm_cfg`` is that of a ``Normalize`` step.
    """
    norm = img_metas[0].get('img_norm_cfg') if img_metas else None
    if norm is not None and (
        np.any(np.asarray(norm['std']) != 1)
        or np.any(np.asarray(norm['mean']) != 0)
        or norm.get('to_rgb')
    ):
        raise ValueError(
            'the pipeline has a Normalize step, but DynaSeg normalises images itself: remove the '
            "step, and set model.img_norm_cfg if it is not ImageNet's"
        )

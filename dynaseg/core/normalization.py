import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Normalization:
    """Subtracts a mean from each channel of an image and divides by a standard deviation.

    Args:
        mean: of each channel, in the units of the pixels; ImageNet's by default, RGB, 0 to 255.
        std: standard deviation of each channel, in the same units.

    Raises:
        ValueError: if the two differ in length, a deviation is not positive, or a number is not
            finite.

    Examples:
        >>> Normalization(mean=(1.0,), std=(2.0,))(torch.tensor([[[[5]]]], dtype=torch.uint8))
        tensor([[[[2.]]]])
    """

    mean: Sequence[float] = (123.675, 116.28, 103.53)
    std: Sequence[float] = (58.395, 57.12, 57.375)

    def __post_init__(self) -> None:
        finite = all(math.isfinite(value) for value in (*self.mean, *self.std))
        if len(self.mean) != len(self.std) or not finite or min(self.std) <= 0:
            raise ValueError(
                'mean and std must be equally many finite numbers, and std positive, '
                f'got {tuple(self.mean)} and {tuple(self.std)}'
            )

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise images, (N, C, H, W), of any numeric type; returns float32."""
        images = images.float() - torch.tensor(self.mean, device=images.device).view(-1, 1, 1)
        for channel, std in zip(images.unbind(dim=1), self.std, strict=True):
            channel.copy_(channel.double() * (1 / std))  # rounded as MMCV's normalisation rounds
        return images

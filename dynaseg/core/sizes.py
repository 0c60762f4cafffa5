import math
from collections.abc import Sequence
from numbers import Real

import torch
import torch.nn.functional as F
from torch import Tensor


def check_prediction(predict_scale: float, predict_pixels: int | None) -> None:
    """Raise ValueError unless a network can predict at this scale and number of pixels."""
    if not (isinstance(predict_scale, Real) and 1 <= predict_scale < math.inf):
        raise ValueError(f'predict_scale must be at least 1 and finite, got {predict_scale!r}')
    if not (predict_pixels is None or (isinstance(predict_pixels, Real) and predict_pixels > 0)):
        raise ValueError(f'predict_pixels must be positive or None, got {predict_pixels!r}')


def limit_size(images: Tensor, pixels: int | None) -> Tensor:
    """Shrink images of more than ``pixels`` pixels, by area averaging.

    Args:
        images: (N, C, H, W).
        pixels: maximum number of pixels per image; None for no limit.

    Returns:
        The images, of about that many pixels, or unchanged.

    Examples:
        >>> limit_size(torch.rand(1, 3, 40, 60), pixels=600).shape
        torch.Size([1, 3, 20, 30])
    """
    size = limited_size(images.shape[2:], pixels)
    return images if size == images.shape[2:] else F.interpolate(images, size, mode='area')


def limited_size(size: Sequence[int], pixels: int | None) -> tuple[int, int]:
    """Shrink a size, (H, W), of more than ``pixels`` to about that many; None for no limit.

    Examples:
        >>> limited_size((40, 60), 600), limited_size((1, 9000), 600), limited_size((40, 60), None)
        ((20, 30), (1, 600), (40, 60))
    """
    height, width = size
    if pixels is None or height * width <= pixels:
        return height, width
    scale = math.sqrt(pixels / (height * width))
    if min(height, width) * scale < 1:  # a single row or column is left
        scale = pixels / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def enlarge(images: Tensor, scale: float, pixels: int | None = None) -> Tensor:
    """Enlarge images by bicubic interpolation, up to ``pixels`` pixels.

    Args:
        images: (N, C, H, W).
        scale: factor of height and width, at least 1.
        pixels: maximum number of pixels per image, unless it already has more; None for no limit.

    Returns:
        The images, (N, C, about scale x H, about scale x W).

    Examples:
        >>> enlarge(torch.rand(1, 3, 20, 30), scale=2.0).shape
        torch.Size([1, 3, 40, 60])
        >>> enlarge(torch.rand(1, 3, 20, 30), scale=2.0, pixels=600).shape
        torch.Size([1, 3, 20, 30])
    """
    height, width = images.shape[2:]
    if pixels is not None:
        scale = max(1.0, min(scale, math.sqrt(pixels / (height * width))))
    size = round(height * scale), round(width * scale)
    return images if size == (height, width) else F.interpolate(images, size, mode='bicubic')


def resize_maps(maps: Tensor, size: Sequence[int], align_corners: bool = False) -> Tensor:
    """Resize maps, (N, C, h, w), to a size, (H, W), bilinearly, averaging where they shrink."""
    if maps.shape[2:] == torch.Size(size):
        return maps
    shrinks = maps.shape[2] > size[0] or maps.shape[3] > size[1]
    return F.interpolate(
        maps, size, mode='bilinear', align_corners=align_corners, antialias=shrinks
    )


def enlarge_labels(labels: Tensor, size: Sequence[int]) -> Tensor:
    """Enlarge a label map, (1, h, w), to a size, (H, W), by nearest neighbour."""
    if labels.shape[1:] == torch.Size(size):
        return labels
    return F.interpolate(labels[None].float(), size, mode='nearest')[0].long()


def shrink_marks(marks: Tensor, size: Sequence[int]) -> Tensor:
    """Shrink maps of marks without losing any: each cell takes the label most marked in it.

    Args:
        marks: label of each marked pixel, from 0, and -1 for the others, int64, (N, H, W).
        size: height and width (h, w), no larger than the maps.

    Returns:
        The shrunken maps, (N, h, w).

    Examples:
        >>> shrink_marks(torch.tensor([[[-1, 2, -1, -1], [-1, -1, 0, 0]]]), (1, 2))
        tensor([[[2, 0]]])
    """
    number, height, width = marks.shape
    labels = max(int(marks.max()) + 1, 1)
    image, row, column = torch.nonzero(marks >= 0, as_tuple=True)
    cell = (image * size[0] + row * size[0] // height) * size[1] + column * size[1] // width
    counts = torch.bincount(
        cell * labels + marks[image, row, column], minlength=number * size[0] * size[1] * labels
    ).view(number, *size, labels)
    return torch.where(counts.sum(dim=-1) > 0, counts.argmax(dim=-1), -1)

"""Square crops of images that show where a label is."""

import numpy as np
from PIL import Image
from scipy.ndimage import binary_dilation

CONTEXT = 2.0  # half the side of a crop, in radii of what it shows
LEAST_SHARE = 0.15  # half the side of a crop, at least, as a share of the image's shorter side
VEIL, OPACITY = (128, 128, 128), 0.6  # what is laid over the pixels of other labels
OUTLINE = (255, 64, 200)  # as hardly anything in photographs is


def choose_box(
    size: tuple[int, int],
    centre: tuple[float, float],
    radius: float,
    least_share: float = LEAST_SHARE,
) -> tuple[int, int, int, int]:
    """Choose the square that shows a part of an image and something of what is around it.

    Args:
        size: width and height of the image.
        centre: x and y of the part.
        radius: of the part, in pixels.
        least_share: half the side of the square, at least, as a share of the image's shorter side.

    Returns:
        Left, top, right and bottom, as Pillow takes them; inside of the image.

    Examples:
        >>> choose_box((100, 80), centre=(95, 40), radius=10)
        (60, 20, 100, 60)
    """
    shorter = min(size)
    side = min(shorter, round(2 * max(CONTEXT * radius, least_share * shorter)))
    left, top = (
        min(max(round(place - side / 2), 0), length - side)
        for place, length in zip(centre, size, strict=True)
    )
    return left, top, left + side, top + side


def veil(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Lay a veil over what of an image is not in a mask, and outline the mask.

    Args:
        image: RGB, uint8, (H, W, 3).
        mask: bool, (H, W).

    Returns:
        RGB, uint8, (H, W, 3).

    Examples:
        >>> veil(np.zeros((1, 3, 3), np.uint8), np.array([[True, False, False]]))[..., 0]
        array([[  0, 255,  76]], dtype=uint8)
    """
    veiled = Image.blend(
        Image.fromarray(image), Image.new('RGB', image.shape[1::-1], VEIL), OPACITY
    )
    veiled = np.where(mask[..., None], image, np.asarray(veiled))
    veiled[binary_dilation(mask) & ~mask] = OUTLINE
    return veiled

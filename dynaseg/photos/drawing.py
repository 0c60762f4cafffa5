import numpy as np
from PIL import Image
from scipy.optimize import linear_sum_assignment
from skimage.color import rgb2lab

from dynaseg.io.palette import distinct_palette

MAX_MATCHED = 256  # matching takes the cube of the number of regions


def draw_overlay(
    image: np.ndarray,
    labels: np.ndarray,
    opacity: float = 0.4,
    colours: np.ndarray | None = None,
) -> np.ndarray:
    """Lay regions in colours over an image, and outline them.

    Args:
        image: RGB, uint8, (H, W, 3).
        labels: region of each pixel, integers from 0, (H, W).
        opacity: of the colours, 0 to 1.
        colours: RGB of each region, uint8, (K, 3). If None, each region gets one of its own: of
            colours that are far apart one near its pixels' mean, where it can, so that the picture
            stays recognisable.

    Returns:
        RGB, uint8, (H, W, 3).

    Examples:
        >>> image = np.zeros((4, 4, 3), np.uint8)
        >>> draw_overlay(image, np.arange(16).reshape(4, 4) // 8).shape
        (4, 4, 3)
    """
    colours = _choose_colours(image, labels) if colours is None else colours
    laid = Image.fromarray(colours[labels])
    overlay = np.array(Image.blend(Image.fromarray(image), laid, opacity))
    overlay[find_outlines(labels)] = 255
    return overlay


def find_outlines(labels: np.ndarray) -> np.ndarray:
    """Find the pixels along which regions meet.

    Args:
        labels: region of each pixel, integers, (H, W).

    Returns:
        bool, (H, W): lines of one pixel.

    Examples:
        >>> find_outlines(np.array([[0, 0, 1], [0, 0, 1]]))
        array([[False,  True, False],
               [False,  True, False]])
    """
    outlines = np.zeros(labels.shape, bool)
    outlines[:-1] |= labels[:-1] != labels[1:]
    outlines[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    return outlines


def _choose_colours(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Choose a colour for each region; (H, W, 3) and (H, W) to RGB, uint8, (K, 3)."""
    flat = labels.ravel()
    sizes = np.bincount(flat)
    palette = distinct_palette(len(sizes))
    if len(sizes) > MAX_MATCHED:
        return palette
    sums = [np.bincount(flat, weights=image[..., channel].ravel()) for channel in range(3)]
    means = np.stack(sums, axis=1) / np.maximum(sizes, 1)[:, None]
    lab_means, lab_palette = rgb2lab(means / 255), rgb2lab(palette / 255)
    distances = np.linalg.norm(lab_means[:, None] - lab_palette, axis=2)
    # Large regions come first: it is they that make the picture.
    _, chosen = linear_sum_assignment(distances * np.sqrt(sizes)[:, None])
    return palette[chosen]

"""The file of an image's hierarchy: the strength of every border, as PNG.

``hierarchy/NAME.png`` is 16-bit grey, of the image's width and twice its height, 2 H. Its first H
rows hold the border between each pixel and its right neighbour, the next H rows that between each
pixel and its lower neighbour; 0 stands for none. At detail d, given with up to four digits, those
of values over 60,000 (1 - d) are shown. The regions at that detail are what they separate.

Examples:
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> leaves = np.array([[0, 0, 1], [0, 0, 1]])
    >>> hierarchy = RegionHierarchy(leaves, np.array([2, 2, 2]), np.array([0, 0, 1.3]))
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name, 'NAME.png')
    >>> size = path.write_bytes(encode_hierarchy(hierarchy))

    Two lines read it:

    >>> right, lower = np.split(np.array(Image.open(path)), 2)
    >>> right_shown, lower_shown = right > 60000 * (1 - 0.6), lower > 60000 * (1 - 0.6)
    >>> right_shown
    array([[False,  True, False],
           [False,  True, False]])

    And a third numbers the regions:

    >>> separate(right_shown, lower_shown)
    array([[0, 0, 1],
           [0, 0, 1]], dtype=int32)
    >>> folder.cleanup()
"""

import numpy as np
from PIL import Image
from scipy import ndimage

from dynaseg.core.regions import RegionHierarchy
from dynaseg.io.writing import encode_png
from dynaseg.photos.regions import measure_steps

VALUES_A_STEP = 6


def encode_hierarchy(hierarchy: RegionHierarchy) -> bytes:
    """Encode the strength of every border; returns the content of the file."""
    return encode_png(Image.fromarray(measure_borders(hierarchy)))


def measure_borders(hierarchy: RegionHierarchy) -> np.ndarray:
    """Measure the strength of every border.

    Args:
        hierarchy: of an image of size (H, W).

    Returns:
        0 to 60,003, as the file holds it, uint16, (2 H, W).
    """
    leaves, count = hierarchy.leaves, hierarchy.num_leaves
    # Between the thresholds of two details, so that no reader's rounding matters.
    values = np.maximum(VALUES_A_STEP * measure_steps(hierarchy) - VALUES_A_STEP // 2, 0)
    height, width = leaves.shape
    borders = np.zeros((2 * height, width), np.uint16)
    for strength, one, other in (
        (borders[:height, :-1], leaves[:, :-1], leaves[:, 1:]),
        (borders[height:-1], leaves[:-1], leaves[1:]),
    ):
        meet = one != other
        pairs = one[meet].astype(np.int64) * count + other[meet]
        pairs, places = np.unique(pairs, return_inverse=True)
        nodes = hierarchy.common_nodes(*np.divmod(pairs, count))
        strength[meet] = values[nodes - count][places]
    return borders


def separate(right: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Number the regions that borders separate.

    Args:
        right: whether there is a border between each pixel and its right neighbour, bool, (H, W).
        lower: the same for its lower neighbour, bool, (H, W).

    Returns:
        Region of each pixel, from 0, int32, (H, W).
    """
    height, width = right.shape
    # Pixels with their links in between: what hangs together is a region.
    grid = np.zeros((2 * height - 1, 2 * width - 1), bool)
    grid[::2, ::2] = True
    grid[::2, 1::2] = ~right[:, :-1]
    grid[1::2, ::2] = ~lower[:-1]
    return ndimage.label(grid)[0][::2, ::2] - 1

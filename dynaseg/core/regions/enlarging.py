"""Enlarging superpixels to the size of a large image, with borders along its edges."""

import math
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

CONTRAST = 12.0  # of 255: pixels whose colours differ by more say little about each other
ROUNDS = 2
BLOCK = 2**12  # pixels
AROUND = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))
BESIDE = tuple(index for index, (y, x) in enumerate(AROUND) if y == 0 or x == 0)


def shrink_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Shrink an image, (H, W, 3), to a size, (h, w), by area averaging, float32 in its own scale.

    Channels are shrunk one by one, so that a large image takes a third of the memory.
    """
    if image.shape[:2] == size:
        return image.astype(np.float32)
    cells = [old / new for old, new in zip(image.shape, size, strict=False)]
    if all(cell.is_integer() for cell in cells):  # twice as fast
        pool = partial(F.avg_pool2d, kernel_size=tuple(map(int, cells)))
    else:
        pool = partial(F.adaptive_avg_pool2d, output_size=size)
    channels = (torch.from_numpy(image[..., channel].astype(np.float32)) for channel in range(3))
    return np.stack([pool(channel[None])[0].numpy() for channel in channels], axis=2)


def enlarge_leaves(leaves: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Enlarge superpixels to the size of the image.

    The size is doubled repeatedly, and each time the pixels on borders join the neighbouring
    superpixel to which most of the surrounding pixels of their colour belong. No superpixel is
    split or lost.

    Args:
        leaves: superpixel of each pixel of the shrunken image, 4-connected, int32, (h, w).
        image: the image, uint8, or floating point in [0, 1], (H, W, 3).

    Returns:
        Superpixel of each pixel, int32, (H, W).

    Examples:
        >>> image = np.zeros((2, 8, 3), np.uint8)
        >>> image[:, 5:] = 255
        >>> enlarge_leaves(np.array([[0, 0, 1, 1]], dtype=np.int32), image)[0]
        array([0, 0, 0, 0, 0, 1, 1, 1], dtype=int32)
    """
    size = np.array(image.shape[:2])
    scale = max(size / leaves.shape)
    contrast = CONTRAST if image.dtype == np.uint8 else CONTRAST / 255
    steps = max(1, math.ceil(math.log2(scale) - 1e-6)) if scale > 1 else 0
    seen = [image]
    for halvings in range(1, steps):
        smaller = np.maximum(np.rint(size / 2**halvings).astype(int), leaves.shape)
        seen.append(shrink_image(seen[-1], tuple(smaller)))
    for colours in reversed(seen[:steps]):
        leaves = np.pad(_nearest(leaves, colours.shape[:2]), 1, constant_values=-1)
        colours = np.pad(colours, ((1, 1), (1, 1), (0, 0)))
        for _ in range(ROUNDS):
            _settle_borders(leaves, colours, contrast)
        leaves = leaves[1:-1, 1:-1]
    return np.ascontiguousarray(leaves)


def _nearest(leaves: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    rows, columns = (
        np.arange(length) * small // length
        for length, small in zip(size, leaves.shape, strict=True)
    )
    return np.ascontiguousarray(leaves[rows[:, None], columns])


def _settle_borders(leaves: np.ndarray, colours: np.ndarray, contrast: float) -> None:
    """Reassign the pixels on borders to superpixels.

    Neighbouring pixels choose one after the other: every other row and column at a time.

    Args:
        leaves: superpixel of each pixel, with a margin of -1 around the image, (H + 2, W + 2);
            changed in place.
        colours: with the same margin, (H + 2, W + 2, 3).
        contrast: difference of colours at which pixels say little about each other.
    """
    inner = leaves[1:-1, 1:-1]
    on_border = np.zeros(inner.shape, dtype=bool)
    for axis in (0, 1):
        differs = np.diff(inner, axis=axis) != 0
        near, far = [slice(None)] * 2, [slice(None)] * 2
        near[axis], far[axis] = slice(None, -1), slice(1, None)
        on_border[tuple(near)] |= differs
        on_border[tuple(far)] |= differs
    for first_row in (0, 1):
        for first_column in (0, 1):
            rows, columns = np.nonzero(on_border[first_row::2, first_column::2])
            rows, columns = 2 * rows + first_row + 1, 2 * columns + first_column + 1
            places = rows * leaves.shape[1] + columns
            for start in range(0, len(places), BLOCK):  # whose arrays stay in the cache
                some = places[start : start + BLOCK]
                leaves.reshape(-1)[some] = _choose(leaves, colours, some, contrast)


def _choose(
    leaves: np.ndarray, colours: np.ndarray, places: np.ndarray, contrast: float
) -> np.ndarray:
    """Find the superpixel for each of some pixels, (P,), which are not neighbours."""
    width = leaves.shape[1]
    labels, pixels = leaves.reshape(-1), colours.reshape(-1, 3)
    own = labels[places]
    colour = pixels[places].astype(np.float32)
    around = np.empty((len(AROUND), len(own)), dtype=leaves.dtype)
    votes = np.empty(around.shape, dtype=np.float32)
    for index, (down, right) in enumerate(AROUND):
        beside = places + (down * width + right)
        around[index] = labels[beside]
        difference = pixels[beside] - colour
        difference *= difference
        distance = difference[:, 0] + difference[:, 1] + difference[:, 2]
        votes[index] = np.exp(-(distance / (2 * contrast**2))) + 1e-3
    best, chosen = _votes(around, votes, own), own.copy()
    # A pixel that holds its superpixel together stays.
    free = _FREE[((around == own) << np.arange(8, dtype=np.int64)[:, None]).sum(axis=0)]
    for index in BESIDE:
        candidate = around[index]
        score = _votes(around, votes, candidate)
        better = free & (candidate >= 0) & (score > best)
        best[better], chosen[better] = score[better], candidate[better]
    return chosen


def _votes(around: np.ndarray, votes: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    return np.where(around == candidates, votes, 0).sum(axis=0)


def _can_leave() -> np.ndarray:
    """Find the sets of neighbours, of 256, with which a pixel can leave its superpixel intact.

    The pixel's neighbours above, below, left and right that belong to the superpixel must be
    connected through its other neighbours, and there must be one.
    """
    free = np.zeros(256, dtype=bool)
    for code in range(1, 256):
        members = {place for bit, place in enumerate(AROUND) if code >> bit & 1}
        beside = {place for place in members if 0 in place}
        reached, stack = set(), [min(beside)] if beside else []
        while stack:
            y, x = stack.pop()
            if (y, x) in members and (y, x) not in reached:
                reached.add((y, x))
                stack += [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        free[code] = bool(beside) and beside <= reached
    return free


_FREE = _can_leave()

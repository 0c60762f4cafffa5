"""Enlarging superpixels to the size of a large image, with borders along its edges."""

import math

import numpy as np
import torch
import torch.nn.functional as F

CONTRAST = 12.0  # of 255: pixels whose colours differ by more say little about each other
ROUNDS = 2
AROUND = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))
BESIDE = tuple(index for index, (y, x) in enumerate(AROUND) if y == 0 or x == 0)


def shrink_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Shrink an image, (H, W, 3), to a size, (h, w), by area averaging, float32 in its own scale.

    Channels are shrunk one by one, so that a large image takes a third of the memory.
    """
    if image.shape[:2] == size:
        return image.astype(np.float32)
    channels = (torch.from_numpy(image[..., channel].astype(np.float32)) for channel in range(3))
    return np.stack([F.adaptive_avg_pool2d(c[None], size)[0].numpy() for c in channels], axis=2)


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
    steps = max(1, math.ceil(math.log2(scale) - 1e-6)) if scale > 1 else 0
    for left in range(steps - 1, -1, -1):
        smaller = np.maximum(np.rint(size / 2**left).astype(int), leaves.shape)
        leaves = _nearest(leaves, tuple(smaller))
        colours = shrink_image(image, tuple(smaller)) if left else image
        for _ in range(ROUNDS):
            _settle_borders(
                leaves, colours, CONTRAST if image.dtype == np.uint8 else CONTRAST / 255
            )
    return leaves


def _nearest(leaves: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    rows, columns = (
        np.arange(length) * small // length
        for length, small in zip(size, leaves.shape, strict=True)
    )
    return np.ascontiguousarray(leaves[rows[:, None], columns])


def _settle_borders(leaves: np.ndarray, colours: np.ndarray, contrast: float) -> None:
    """Reassign the pixels on borders to superpixels, in place.

    Neighbouring pixels choose one after the other: every other row and column at a time.
    """
    on_border = np.zeros(leaves.shape, dtype=bool)
    for axis in (0, 1):
        differs = np.diff(leaves, axis=axis) != 0
        near, far = [slice(None)] * 2, [slice(None)] * 2
        near[axis], far[axis] = slice(None, -1), slice(1, None)
        on_border[tuple(near)] |= differs
        on_border[tuple(far)] |= differs
    for first_row in (0, 1):
        for first_column in (0, 1):
            places = np.nonzero(on_border[first_row::2, first_column::2])
            rows, columns = 2 * places[0] + first_row, 2 * places[1] + first_column
            leaves[rows, columns] = _choose(leaves, colours, rows, columns, contrast)


def _choose(
    leaves: np.ndarray, colours: np.ndarray, rows: np.ndarray, columns: np.ndarray, contrast: float
) -> np.ndarray:
    """Find the superpixel for each of some pixels, (P,)."""
    own = leaves[rows, columns]
    colour = colours[rows, columns].astype(np.float32)
    around = np.full((len(AROUND), len(own)), -1, dtype=leaves.dtype)  # -1 beyond the image
    votes = np.zeros(around.shape, dtype=np.float32)
    for index, (down, right) in enumerate(AROUND):
        y, x = rows + down, columns + right
        inside = (y >= 0) & (y < leaves.shape[0]) & (x >= 0) & (x < leaves.shape[1])
        y, x = y[inside], x[inside]
        around[index, inside] = leaves[y, x]
        distance = ((colours[y, x] - colour[inside]) ** 2).sum(axis=1) / (2 * contrast**2)
        votes[index, inside] = np.exp(-distance) + 1e-3
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

"""The region adjacency graph of superpixels, and sums over their borders and areas."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

IMAGE_BORDER = 1.5  # weight of a pixel on the image's border, in pixel pairs


@dataclass(frozen=True)
class RegionGraph:
    """Superpixels and the borders between them.

    A border is a set of pairs of 4-connected pixels. Borders are ordered by their superpixels.

    Attributes:
        leaves: superpixel of each pixel, (H, W).
        areas: pixels of each superpixel, (L,).
        perimeters: pixel pairs that each superpixel has with others, plus ``IMAGE_BORDER`` times
            its pixels on the image's border, (L,).
        borders: the two superpixels of each border, the lower first, (E, 2).
        lengths: pixel pairs of each border, (E,).
        pixels: the two pixels of every pair, as indices into the flat image, (P, 2).
        pair_borders: border of every pair, (P,).
    """

    leaves: np.ndarray
    areas: np.ndarray
    perimeters: np.ndarray
    borders: np.ndarray
    lengths: np.ndarray
    pixels: np.ndarray
    pair_borders: np.ndarray

    def border_sums(self, values: np.ndarray) -> np.ndarray:
        """Sum the higher value of each pixel pair over each border, (H, W) to (E,)."""
        highest = values.ravel()[self.pixels].max(axis=1)
        return np.bincount(self.pair_borders, highest, len(self.borders))

    def region_sums(self, values: np.ndarray) -> np.ndarray:
        """Sum the values of each superpixel's pixels, (H, W) to (L,)."""
        return np.bincount(self.leaves.ravel(), values.ravel(), len(self.areas))


def pixel_pairs(regions: np.ndarray) -> np.ndarray:
    """Find the pairs of 4-connected pixels that lie in different regions.

    Args:
        regions: region of each pixel, (H, W).

    Returns:
        Indices into the flat image, those to the right first, then those below, (P, 2).

    Examples:
        >>> pixel_pairs(np.array([[0, 1], [0, 0]])).tolist()
        [[0, 1], [1, 3]]
    """
    width = regions.shape[1]
    rows, columns = np.nonzero(regions[:, 1:] != regions[:, :-1])
    right = rows * width + columns
    rows, columns = np.nonzero(regions[1:] != regions[:-1])
    down = rows * width + columns
    return np.stack([np.r_[right, down], np.r_[right + 1, down + width]], axis=1)


def build_graph(leaves: np.ndarray) -> RegionGraph:
    """Make the adjacency graph of superpixels, 0 to L - 1, (H, W).

    Examples:
        >>> graph = build_graph(np.array([[0, 0, 1], [2, 2, 2]]))
        >>> graph.borders.tolist(), graph.lengths.tolist()
        ([[0, 1], [0, 2], [1, 2]], [1, 2, 1])
        >>> graph.perimeters.tolist()  # pairs, and 2, 1 and 3 pixels on the image's border
        [6.0, 3.5, 7.5]
    """
    flat = leaves.ravel()
    areas = np.bincount(flat)
    pixels = pixel_pairs(leaves)
    ends = np.sort(flat[pixels], axis=1).astype(np.int64)
    keys, pair_borders, lengths = np.unique(
        ends[:, 0] * len(areas) + ends[:, 1], return_inverse=True, return_counts=True
    )
    borders = np.stack(np.divmod(keys, len(areas)), axis=1)
    on_border = np.ones(leaves.shape, dtype=bool)
    on_border[1:-1, 1:-1] = False
    perimeters = IMAGE_BORDER * np.bincount(leaves[on_border], minlength=len(areas))
    for end in borders.T:
        perimeters += np.bincount(end, lengths, len(areas))
    return RegionGraph(leaves, areas, perimeters, borders, lengths, pixels, pair_borders)


def pooling_matrix(leaves: np.ndarray, size: tuple[int, int]) -> sparse.csr_array:
    """Make the matrix that averages a map over superpixels as if it were enlarged bilinearly.

    Args:
        leaves: superpixel of each pixel, 0 to L - 1, (H, W).
        size: height and width (h, w) of the map.

    Returns:
        Weight of each of the map's values in the mean of each superpixel, float32, (L, h w).

    Examples:
        >>> matrix = pooling_matrix(np.array([[0, 0, 1, 1]]), (1, 2))
        >>> (matrix @ np.array([0.0, 8.0])).tolist()  # of 0, 2, 6 and 8
        [1.0, 7.0]
    """
    flat = leaves.ravel()
    places, weights = zip(
        *[_taps(length, small) for length, small in zip(leaves.shape, size, strict=True)],
        strict=True,
    )
    num_leaves = int(flat.max()) + 1
    matrix = sparse.csr_array((num_leaves, size[0] * size[1]), dtype=np.float32)
    for y in range(2):
        for x in range(2):
            columns = places[0][y][:, None] * size[1] + places[1][x]
            values = weights[0][y][:, None] * weights[1][x]
            matrix += sparse.csr_array(
                (values.ravel(), (flat, columns.ravel())), shape=matrix.shape
            )
    areas = np.bincount(flat).astype(np.float32)
    return sparse.diags_array(1 / areas) @ matrix


def _taps(length: int, small: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the two places of a line of ``small`` between which each place of ``length`` lies."""
    position = np.clip((np.arange(length) + 0.5) * small / length - 0.5, 0, small - 1)
    low = np.minimum(position.astype(np.int64), max(small - 2, 0))
    share = (position - low).astype(np.float32)
    return np.stack([low, np.minimum(low + 1, small - 1)]), np.stack([1 - share, share])

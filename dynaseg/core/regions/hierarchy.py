"""Hierarchies of regions: segmentations from fine to coarse, each nested in the next."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dynaseg.core.regions.graph import build_graph
from dynaseg.core.regions.superpixels import number_by_first_pixel

# Detail, and the altitude in units of that at detail .5; linear in between. On train images the
# best covering is at detail .3 and the best overlap of single segments at .75.
DETAILS = (0.0, 0.3, 0.5, 0.75, 1.0)
RELATIVE_ALTITUDES = (2.5, 1.2, 1.0, 0.8, 0.0)


@dataclass(frozen=True)
class RegionHierarchy:
    """A binary partition tree of an image.

    Nodes 0 to L - 1 are the superpixels, the others the regions made by merging, in that order, so
    a parent's number is above its children's; the last is the whole image, its own parent.

    Args:
        leaves: superpixel of each pixel, 0 to L - 1, int32, (H, W).
        parents: parent of each node, (2L - 1,).
        altitudes: cost at which each node was formed, 0 for superpixels, not decreasing with the
            nodes' numbers, (2L - 1,).
        middle: altitude at detail .5.

    Raises:
        ValueError: if the arrays do not make such a tree.

    Examples:
        >>> leaves = np.array([[0, 1, 2]], dtype=np.int32)
        >>> parents, altitudes = np.array([3, 3, 4, 4, 4]), np.array([0, 0, 0, 1, 2.0])
        >>> hierarchy = RegionHierarchy(leaves, parents, altitudes)
        >>> hierarchy.cut(1.0)
        array([[0, 0, 1]], dtype=int32)
        >>> hierarchy.num_regions(0.5), hierarchy.num_regions(2.0)
        (3, 1)
        >>> hierarchy.contours()[0]
        array([[1., 2.]], dtype=float32)
    """

    leaves: np.ndarray
    parents: np.ndarray
    altitudes: np.ndarray
    middle: float = 1.23

    def __post_init__(self) -> None:
        leaves, parents, altitudes = self.leaves, self.parents, self.altitudes
        if leaves.ndim != 2 or not leaves.size or leaves.dtype.kind not in 'iu':
            raise ValueError(
                f'leaves must be a non-empty map (H, W) of integers, '
                f'got {leaves.dtype} of shape {leaves.shape}'
            )
        if leaves.min() < 0:
            raise ValueError(f'leaves must be numbered from 0, got {leaves.min()}')
        nodes = 2 * self.num_leaves - 1
        if parents.shape != (nodes,) or altitudes.shape != (nodes,):
            raise ValueError(
                f'parents and altitudes must have 2 x {self.num_leaves} - 1 entries for '
                f'{self.num_leaves} leaves, got {parents.shape} and {altitudes.shape}'
            )
        children = np.bincount(parents[:-1], minlength=nodes)[self.num_leaves :]
        if (parents[:-1] <= np.arange(nodes - 1)).any() or (children != 2).any():
            raise ValueError(
                'parents must give two children, of lower numbers than its own, '
                'to every node that is not a leaf'
            )
        if parents[-1] != nodes - 1:
            raise ValueError(f'the last node must be its own parent, got {parents[-1]}')
        if not (np.diff(altitudes) >= 0).all():
            raise ValueError('altitudes must not decrease with the number of the node')
        if not self.middle > 0:
            raise ValueError(f'middle must be positive, got {self.middle}')

    @cached_property
    def num_leaves(self) -> int:
        """Number of superpixels."""
        return int(self.leaves.max()) + 1

    def num_regions(self, threshold: float) -> int:
        """Count the regions of :meth:`cut`."""
        merged = np.searchsorted(self.altitudes[self.num_leaves :], threshold, side='right')
        return self.num_leaves - int(merged)

    def cut(self, threshold: float) -> np.ndarray:
        """Cut the tree at an altitude: regions merged at this cost or less are one.

        Args:
            threshold: the altitude.

        Returns:
            Region of each pixel, 0 to K - 1 in the order of their first pixels by rows, int32,
            (H, W).
        """
        return self.cut_to(self.num_regions(threshold))

    def cut_to(self, num_regions: int) -> np.ndarray:
        """Cut the tree into a number of regions, or into its leaves if there are fewer.

        Args:
            num_regions: at least 1.

        Returns:
            Region of each pixel, as :meth:`cut` numbers them, int32, (H, W).

        Raises:
            ValueError: if ``num_regions`` is below 1.
        """
        return number_by_first_pixel(self.leaf_regions(num_regions))[self.leaves]

    def leaf_regions(self, num_regions: int) -> np.ndarray:
        """Find the node of the cut into ``num_regions`` that each leaf is in, (L,)."""
        if num_regions < 1:
            raise ValueError(f'num_regions must be at least 1, got {num_regions}')
        nodes = 2 * self.num_leaves - min(num_regions, self.num_leaves)
        roots = np.where(self.parents[:nodes] < nodes, self.parents[:nodes], np.arange(nodes))
        while True:
            above = roots[roots]
            if np.array_equal(above, roots):
                return roots[: self.num_leaves]
            roots = above

    def altitude(self, detail: float) -> float:
        """Convert detail to altitude.

        Args:
            detail: 0 (coarse) to 1 (the superpixels); .5 is a good default for photographs.

        Returns:
            The threshold to cut at.

        Raises:
            ValueError: if ``detail`` is not in [0, 1].
        """
        if not 0 <= detail <= 1:
            raise ValueError(f'detail must be in [0, 1], got {detail}')
        return self.middle * float(np.interp(detail, DETAILS, RELATIVE_ALTITUDES))

    def detail(self, altitudes: np.ndarray) -> np.ndarray:
        """Convert altitudes to the detail above which they separate regions; the inverse."""
        relative = np.asarray(altitudes) / self.middle
        return np.interp(relative, RELATIVE_ALTITUDES[::-1], DETAILS[::-1])

    def regions(self, detail: float = 0.5) -> np.ndarray:
        """Cut the tree at a detail, 0 (coarse) to 1 (fine), as :meth:`cut` does; (H, W)."""
        return self.cut(self.altitude(detail))

    def areas(self) -> np.ndarray:
        """Count the pixels of every node, (2L - 1,)."""
        return self.add_up(np.bincount(self.leaves.ravel()))

    def add_up(self, values: np.ndarray) -> np.ndarray:
        """Add up values of the leaves, (L, ...), over the leaves under each node, (2L - 1, ...)."""
        order, starts, ends = self.leaf_order()
        sums = np.zeros((len(values) + 1, *values.shape[1:]), dtype=values.dtype)
        np.cumsum(values[order], axis=0, out=sums[1:])
        return sums[ends] - sums[starts]

    def leaf_order(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Order the leaves so that those under every node are contiguous.

        Returns:
            The leaves in order, (L,), and for each node where its leaves begin and end, (2L - 1,).
        """
        parents, leaves = self.parents.tolist(), self.num_leaves
        sizes = [1] * leaves + [0] * (leaves - 1)
        for node, parent in enumerate(parents[:-1]):
            sizes[parent] += sizes[node]
        starts = [0] * len(parents)
        free = [0] * len(parents)  # where the next child of a node begins
        for node in range(len(parents) - 2, -1, -1):
            parent = parents[node]
            starts[node] = free[node] = free[parent]
            free[parent] += sizes[node]
        starts = np.array(starts)
        return np.argsort(starts[:leaves]), starts, starts + sizes

    def common_nodes(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Find the lowest common ancestors of leaves, (P,), and others, (P,)."""
        first, second = first.copy(), second.copy()
        apart = np.flatnonzero(first != second)
        while apart.size:
            pair = first[apart], second[apart]
            first[apart] = self.parents[np.minimum(*pair)]
            second[apart] = np.maximum(*pair)
            apart = apart[first[apart] != second[apart]]
        return first

    def contours(self) -> tuple[np.ndarray, np.ndarray]:
        """Compute the ultrametric contour map: the strength of the border between two pixels.

        Returns:
            The altitude at which each pixel and its right neighbour become one region, float32,
            (H, W - 1), and the same for the pixel below, (H - 1, W). ``cut(threshold)`` has the
            borders whose strength is above the threshold, except for the rounding to float32 where
            the threshold is an altitude.
        """
        graph = build_graph(self.leaves)
        strengths = self.altitudes[self.common_nodes(*graph.borders.T)][graph.pair_borders]
        height, width = self.leaves.shape
        maps = np.zeros((2, height, width), dtype=np.float32)
        is_below = graph.pixels[:, 1] - graph.pixels[:, 0] == width
        if width == 1:
            is_below[:] = True
        flat = maps.reshape(2, -1)
        flat[is_below.astype(np.int64), graph.pixels[:, 0]] = strengths
        return maps[0, :, :-1], maps[1, :-1]

"""Greedy merging of regions, cheapest pair first: the hierarchy above superpixels."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dynaseg.core.regions.descriptors import Descriptors


@dataclass(frozen=True)
class Regions:
    """Superpixels as merging sees them: sums, which add up when two merge.

    Attributes:
        descriptors: what the regions look like.
        areas: pixels of each, (L,).
        perimeters: of each, in pixel pairs, (L,).
        textures: sum over the pixels of each of the strength of fine edges, (L,).
        borders: the two regions of each border, the lower first, (E, 2).
        lengths: pixel pairs of each border, (E,).
        strengths: sum over the pairs of each border of its strength, (E,).
    """

    descriptors: Descriptors
    areas: np.ndarray
    perimeters: np.ndarray
    textures: np.ndarray
    borders: np.ndarray
    lengths: np.ndarray
    strengths: np.ndarray


@dataclass(frozen=True)
class MergingCost:
    """The cost of merging two regions.

    cost = (d + max(B / l - texture min(t_i, t_j), 0)) (s_i s_j / (s_i + s_j))^area_power
    (min(P_i, P_j) / l)^shape_power

    with d the distance of the descriptors, B and l the strength and the length of the border, t
    the mean strength of fine edges within a region (so that a texture's own edges do not separate
    it from the same texture), s the share of the image and P the perimeter.
    """

    area_power: float = 0.05
    shape_power: float = 0.1
    texture: float = 1.5


def merge_regions(regions: Regions, cost: MergingCost) -> tuple[np.ndarray, np.ndarray]:
    """Merge neighbours until one region is left, the cheapest pair first.

    Where costs are equal, the border that was formed first goes first.

    Args:
        regions: the superpixels; their graph must be connected.
        cost: the cost of a merge.

    Returns:
        The parent of each node, (2L - 1,), the root's being itself, and the altitude of each node,
        (2L - 1,): 0 for the superpixels, which are nodes 0 to L - 1, and the running maximum of
        the costs for the others, which are in the order of merging.
    """
    return _Merging(regions, cost).run()


class _Merging:
    """The state of a merging: the regions that are left, and their borders in a heap.

    A region has about six neighbours, too few for NumPy's calls to pay off; so values that are one
    number per region or border are kept in lists.
    """

    def __init__(self, regions: Regions, cost: MergingCost) -> None:
        self.count = len(regions.areas)
        nodes = 2 * self.count - 1
        self.cost, self.descriptors = cost, regions.descriptors
        self.adding = regions.descriptors.summing_matrix()
        self.weights = np.array(regions.descriptors.weights)
        self.sums = _extended(regions.descriptors.sums, nodes)
        self.units = _extended(
            regions.descriptors.units(regions.descriptors.sums, regions.areas[:, None]), nodes
        )
        self.shares = (regions.areas / regions.areas.sum()).tolist()
        self.areas = regions.areas.tolist()
        self.perimeters = regions.perimeters.tolist()
        self.textures = (regions.textures / regions.areas).tolist()
        self.lengths = regions.lengths.tolist()
        self.strengths = regions.strengths.tolist()
        self.ends = regions.borders.tolist()
        self.neighbours = [{} for _ in range(nodes)]  # border by neighbour
        for border, (first, second) in enumerate(self.ends):
            self.neighbours[first][second] = self.neighbours[second][first] = border
        first, second = regions.borders.T
        distances = self._distances(self.units[first], self.units[second])
        self.heap = []
        self._push(range(len(self.ends)), distances)

    def run(self) -> tuple[np.ndarray, np.ndarray]:
        parents = np.arange(len(self.sums))
        altitudes = np.zeros(len(self.sums))
        highest = 0.0
        for node in range(self.count, len(parents)):
            price, (first, second) = self._cheapest()
            highest = max(highest, price)
            parents[first] = parents[second] = node
            altitudes[node] = highest
            self._merge(first, second, node)
        return parents, altitudes

    def _cheapest(self) -> tuple[float, list[int]]:
        """Take the cheapest border that still exists."""
        while True:
            price, border = heapq.heappop(self.heap)
            first, second = self.ends[border]
            if self.neighbours[first].get(second) == border:
                return price, self.ends[border]

    def _merge(self, first: int, second: int, node: int) -> None:
        """Merge two regions, with their borders, into a node."""
        length = self.lengths[self.neighbours[first].pop(second)]
        del self.neighbours[second][first]
        self._add_up(first, second, length)
        sums = self.sums[first] + self.sums[second]
        self.sums[node] = sums
        unit = self.descriptors.units(sums[None], self.areas[node])[0]
        self.units[node] = unit
        old = len(self.lengths)
        others = self._join_borders(first, second, node)
        if others:
            distances = self._distances(self.units[others], unit)
            self._push(range(old, len(self.lengths)), distances)

    def _add_up(self, first: int, second: int, length: float) -> None:
        """Compute a new node's numbers from those of its two parts."""
        areas, textures = self.areas, self.textures
        area = areas[first] + areas[second]
        edges = textures[first] * areas[first] + textures[second] * areas[second]
        areas.append(area)
        textures.append(edges / area)
        self.shares.append(self.shares[first] + self.shares[second])
        self.perimeters.append(self.perimeters[first] + self.perimeters[second] - 2 * length)

    def _join_borders(self, first: int, second: int, node: int) -> list[int]:
        """Give a new node the borders of its parts; return its neighbours."""
        lengths, strengths, neighbours = self.lengths, self.strengths, self.neighbours
        joined, rest = neighbours[first], neighbours[second]
        neighbours[first] = neighbours[second] = {}
        around = neighbours[node]
        for other, border in joined.items():
            length, strength = lengths[border], strengths[border]
            back = neighbours[other]
            del back[first]
            shared = rest.pop(other, None)
            if shared is not None:
                length += lengths[shared]
                strength += strengths[shared]
                del back[second]
            back[node] = around[other] = len(lengths)
            lengths.append(length)
            strengths.append(strength)
            self.ends.append((other, node))
        for other, border in rest.items():
            back = neighbours[other]
            del back[second]
            back[node] = around[other] = len(lengths)
            lengths.append(lengths[border])
            strengths.append(strengths[border])
            self.ends.append((other, node))
        return list(around)

    def _distances(self, first: np.ndarray, second: np.ndarray) -> list[float]:
        """Add up the weighted distances of unit vectors, (R, D), and others, (R, D) or (D,)."""
        cosines = (first * second) @ self.adding
        return (np.sqrt(np.maximum(1 - cosines, 0)) @ self.weights).tolist()

    def _push(self, borders: Sequence[int], distances: Sequence[float]) -> None:
        """Put borders on the heap, by the cost of removing them."""
        textures, shares, perimeters = self.textures, self.shares, self.perimeters
        suppression = self.cost.texture
        area_power, shape_power = self.cost.area_power, self.cost.shape_power
        for border, distance in zip(borders, distances, strict=True):
            first, second = self.ends[border]
            length = self.lengths[border]
            texture = min(textures[first], textures[second])
            contrast = self.strengths[border] / length - suppression * texture
            share, other = shares[first], shares[second]
            price = distance + max(contrast, 0.0)
            price *= (share * other / (share + other)) ** area_power
            price *= (min(perimeters[first], perimeters[second]) / length) ** shape_power
            heapq.heappush(self.heap, (price, border))


def _extended(values: np.ndarray, nodes: int) -> np.ndarray:
    """Make room for all nodes after the values of superpixels, (L, D) to (nodes, D)."""
    extended = np.zeros((nodes, values.shape[1]))
    extended[: len(values)] = values
    return extended

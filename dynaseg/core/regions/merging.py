"""Greedy merging of regions, cheapest pair first: the hierarchy above superpixels."""

import heapq
from dataclasses import dataclass

import numpy as np

from dynaseg.core.regions.descriptors import Descriptors


@dataclass(frozen=True)
class Regions:
    """Superpixels as merging sees them: sums, which add up where two become one.

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
    """The cost of making one region of two.

    cost = (d + max(B / l - min(t_i, t_j), 0)) (s_i s_j / (s_i + s_j))^area_power
    (min(P_i, P_j) / l)^shape_power

    with d the distance of the descriptors, B and l the strength and the length of the border, t
    the mean strength of fine edges within a region (so that a texture's own edges do not part it
    from the same texture), s the share of the image and P the perimeter.
    """

    area_power: float = 0.05
    shape_power: float = 0.1
    texture: float = 1.0

    def __call__(self, distances, strengths, lengths, textures, shares, perimeters) -> np.ndarray:
        """Compute the costs of borders; textures, shares and perimeters are pairs of arrays."""
        contrasts = strengths / lengths - self.texture * np.minimum(*textures)
        costs = distances + np.maximum(contrasts, 0)
        costs = costs * (shares[0] * shares[1] / (shares[0] + shares[1])) ** self.area_power
        return costs * (np.minimum(*perimeters) / lengths) ** self.shape_power


def merge_regions(regions: Regions, cost: MergingCost) -> tuple[np.ndarray, np.ndarray]:
    """Merge neighbours until one region is left, the cheapest pair first.

    Where costs are equal, the border that came to be first goes first.

    Args:
        regions: the superpixels; their graph must be connected.
        cost: the cost of a merging.

    Returns:
        The parent of each node, (2L - 1,), the root's being itself, and the altitude of each node,
        (2L - 1,): 0 for the superpixels, which are nodes 0 to L - 1, and the running maximum of
        the costs for the others, which are in the order of merging.
    """
    return _Merging(regions, cost).run()


class _Merging:
    """The state of a merging: the regions that are left, and their borders in a heap."""

    def __init__(self, regions: Regions, cost: MergingCost) -> None:
        count, nodes = len(regions.areas), 2 * len(regions.areas) - 1
        self.cost, self.descriptors = cost, regions.descriptors
        self.count, self.pixels = count, float(regions.areas.sum())
        self.sums = _extended(regions.descriptors.sums, nodes)
        self.units = _extended(
            regions.descriptors.units(regions.descriptors.sums, regions.areas), nodes
        )
        # Of each node: area, perimeter and texture, in one array to be gathered at once.
        values = (regions.areas, regions.perimeters, regions.textures / regions.areas)
        self.values = _extended(np.stack(values, axis=1).astype(np.float64), nodes)
        self.lengths = regions.lengths.astype(np.float64).tolist()
        self.strengths = regions.strengths.tolist()
        self.neighbours = [{} for _ in range(nodes)]  # border by neighbour
        for border, (first, second) in enumerate(regions.borders.tolist()):
            self.neighbours[first][second] = self.neighbours[second][first] = border
        self.ends = regions.borders.tolist()
        first, second = regions.borders.T
        costs = self._costs(first, second, regions.strengths, regions.lengths)
        self.heap = list(zip(costs.tolist(), range(len(costs)), strict=True))
        heapq.heapify(self.heap)

    def run(self) -> tuple[np.ndarray, np.ndarray]:
        parents = np.arange(len(self.values))
        altitudes = np.zeros(len(self.values))
        highest = 0.0
        for node in range(self.count, len(parents)):
            price, (first, second) = self._cheapest()
            highest = max(highest, price)
            parents[first] = parents[second] = node
            altitudes[node] = highest
            self._merge(first, second, node)
        return parents, altitudes

    def _cheapest(self) -> tuple[float, list[int]]:
        """Take the cheapest border that still is one."""
        while True:
            price, border = heapq.heappop(self.heap)
            first, second = self.ends[border]
            if self.neighbours[first].get(second) == border:
                return price, self.ends[border]

    def _merge(self, first: int, second: int, node: int) -> None:
        """Make a node of two regions, with their borders."""
        length = self.lengths[self.neighbours[first].pop(second)]
        del self.neighbours[second][first]
        self._add_up(first, second, node, length)
        others = self._join_borders(first, second, node)
        if not others:
            return
        borders = slice(len(self.lengths) - len(others), None)
        costs = self._costs(
            np.array(others),
            node,
            np.array(self.strengths[borders]),
            np.array(self.lengths[borders]),
        )
        for pair in zip(costs.tolist(), range(borders.start, len(self.lengths)), strict=False):
            heapq.heappush(self.heap, pair)

    def _add_up(self, first: int, second: int, node: int, length: float) -> None:
        """Compute what a new node looks like from its two parts."""
        (area, perimeter, texture), (area_2, perimeter_2, texture_2) = self.values[
            [first, second]
        ].tolist()
        whole = area + area_2
        self.values[node] = (
            whole,
            perimeter + perimeter_2 - 2 * length,
            (area * texture + area_2 * texture_2) / whole,
        )
        sums = self.sums[first] + self.sums[second]
        self.sums[node] = sums
        self.units[node] = self.descriptors.units(sums[None], np.array([whole]))[0]

    def _join_borders(self, first: int, second: int, node: int) -> list[int]:
        """Give a new node the borders of its parts; return its neighbours."""
        old = self.neighbours[first], self.neighbours[second]
        self.neighbours[first] = self.neighbours[second] = {}
        others = list(old[0]) + [other for other in old[1] if other not in old[0]]
        for other in others:
            parts = [borders.pop(other) for borders in old if other in borders]
            border = len(self.lengths)
            self.lengths.append(sum(self.lengths[part] for part in parts))
            self.strengths.append(sum(self.strengths[part] for part in parts))
            self.ends.append([other, node])
            around = self.neighbours[other]
            around.pop(first, None)
            around.pop(second, None)
            around[node] = self.neighbours[node][other] = border
        return others

    def _costs(self, first, second, strengths, lengths) -> np.ndarray:
        """Compute the costs of borders between nodes; ``second`` may be a single one."""
        distances = self.descriptors.distances(self.units[first], self.units[second])
        area, perimeter, texture = self.values[first].T
        area_2, perimeter_2, texture_2 = self.values[second].T
        shares = area / self.pixels, area_2 / self.pixels
        return self.cost(
            distances, strengths, lengths, (texture, texture_2), shares, (perimeter, perimeter_2)
        )


def _extended(values: np.ndarray, nodes: int) -> np.ndarray:
    """Make room for all nodes behind the values of superpixels, (L, ...) to (nodes, ...)."""
    extended = np.zeros((nodes, *values.shape[1:]), dtype=values.dtype)
    extended[: len(values)] = values
    return extended

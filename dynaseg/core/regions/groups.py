"""Disjoint sets, and the trees in which they join."""

from collections.abc import Iterable

import numpy as np


class Groups:
    """Disjoint sets, each with its highest member as its root."""

    def __init__(self, count: int) -> None:
        self.above = list(range(count))

    def find(self, member: int) -> int:
        """Find the root of a member's set."""
        while self.above[member] != member:
            self.above[member] = self.above[self.above[member]]
            member = self.above[member]
        return member

    def join(self, first: int, second: int) -> None:
        """Join the sets of two members."""
        low, high = sorted((self.find(first), self.find(second)))
        self.above[low] = high


def join_in_turn(links: Iterable[Iterable[int]], count: int) -> tuple[np.ndarray, list[int]]:
    """Make the binary tree in which links join leaves in turn, those of one part left out.

    Args:
        links: the two leaves of each, (E, 2), as lists of integers; all leaves must become one.
        count: number of leaves, L.

    Returns:
        The parent of each node, (2L - 1,), the root's being itself, and the places of the links
        that made the nodes L, L + 1, ..., (L - 1,).

    Examples:
        >>> parents, places = join_in_turn([[0, 1], [1, 0], [2, 0]], 3)
        >>> parents.tolist(), places
        ([3, 3, 4, 4, 4], [0, 2])
    """
    groups, parents, places = Groups(2 * count - 1), np.arange(2 * count - 1), []
    for place, (first, second) in enumerate(links):
        roots = groups.find(first), groups.find(second)
        if roots[0] != roots[1]:
            node = count + len(places)
            for root in roots:
                parents[root] = node
                groups.join(node, root)
            places.append(place)
    return parents, places

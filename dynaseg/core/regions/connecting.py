"""Hierarchies whose regions are connected, after their superpixels have changed."""

import numpy as np

from dynaseg.core.regions.graph import build_graph
from dynaseg.core.regions.groups import join_in_turn
from dynaseg.core.regions.hierarchy import RegionHierarchy


def connect_regions(hierarchy: RegionHierarchy) -> RegionHierarchy:
    """Divide the regions of every level into their connected parts.

    Superpixels that touched where they were merged may not touch once they are enlarged. Two
    neighbours are then merged where they were in one region first, and so every region of a level
    is a connected part of one before.

    Args:
        hierarchy: whose superpixels are connected.

    Returns:
        The hierarchy of the same superpixels, the same one if all its regions are connected.

    Examples:
        >>> leaves = np.array([[0, 1, 2]], dtype=np.int32)
        >>> parents, altitudes = np.array([3, 4, 3, 4, 4]), np.array([0, 0, 0, 1.0, 2.0])
        >>> connect_regions(RegionHierarchy(leaves, parents, altitudes)).altitudes
        array([0., 0., 0., 2., 2.])
    """
    count = hierarchy.num_leaves
    graph = build_graph(hierarchy.leaves)
    joined = hierarchy.common_nodes(*graph.borders.T)
    if len(np.unique(joined)) == count - 1:
        return hierarchy
    order = np.argsort(joined, kind='stable')
    parents, places = join_in_turn(graph.borders[order].tolist(), count)
    altitudes = np.concatenate([np.zeros(count), hierarchy.altitudes[joined[order[places]]]])
    return RegionHierarchy(hierarchy.leaves, parents, altitudes, hierarchy.middle)

"""Hierarchies without small regions."""

import numpy as np

from dynaseg.core.regions.graph import build_graph
from dynaseg.core.regions.groups import Groups, join_in_turn
from dynaseg.core.regions.hierarchy import RegionHierarchy
from dynaseg.core.regions.superpixels import number_by_first_pixel


def remove_small_regions(hierarchy: RegionHierarchy, min_area: float) -> RegionHierarchy:
    """Merge small regions away on every level, keeping each level nested in the next coarser.

    A merge with one side smaller than ``min_area`` is done before all others: that side joins the
    superpixel of the other side with which it shares the longest border (compare the area filtering
    of Guimaraes et al., Hierarchizing graph-based image segmentation algorithms, 2017). The regions
    of all cuts then have that area, unless the whole image is smaller.

    Args:
        hierarchy: whose regions are connected, as those of ``build_hierarchy`` are.
        min_area: minimum area, in pixels.

    Returns:
        A hierarchy with fewer and larger superpixels.

    Examples:
        >>> leaves = np.array([[0, 0, 0, 1, 2, 2]], dtype=np.int32)
        >>> parents, altitudes = np.array([4, 3, 3, 4, 4]), np.array([0, 0, 0, 5.0, 6.0])
        >>> larger = remove_small_regions(RegionHierarchy(leaves, parents, altitudes), 2)
        >>> larger.leaves
        array([[0, 0, 0, 1, 1, 1]], dtype=int32)
        >>> larger.altitudes
        array([0., 0., 6.])
    """
    areas, count = hierarchy.areas(), hierarchy.num_leaves
    smallest = np.full(len(areas), areas[-1])  # of each node's two children
    np.minimum.at(smallest, hierarchy.parents[:-1], areas[:-1])
    is_small = smallest[count:] < min_area
    if not is_small.any():
        return hierarchy
    links = _longest_links(hierarchy)
    groups = Groups(count)
    for first, second in links[is_small].tolist():
        groups.join(first, second)
    kept = number_by_first_pixel(np.array([groups.find(leaf) for leaf in range(count)]))
    return _chain(hierarchy, kept, kept[links[~is_small]], hierarchy.altitudes[count:][~is_small])


def _chain(
    hierarchy: RegionHierarchy, kept: np.ndarray, links: np.ndarray, altitudes: np.ndarray
) -> RegionHierarchy:
    """Make the tree in which links, (M - 1, 2), join M leaves in turn."""
    count = len(altitudes) + 1
    parents, _ = join_in_turn(links.tolist(), count)
    altitudes = np.concatenate([np.zeros(count), altitudes])
    return RegionHierarchy(kept[hierarchy.leaves], parents, altitudes, hierarchy.middle)


def _longest_links(hierarchy: RegionHierarchy) -> np.ndarray:
    """Find for each merge the two leaves that share its longest border, (L - 1, 2).

    Where two sides share none, in a hierarchy of other sources, it is a leaf of each.
    """
    graph = build_graph(hierarchy.leaves)
    nodes = hierarchy.common_nodes(*graph.borders.T) - hierarchy.num_leaves
    # The longest border of each node comes last; of equal ones, the first.
    order = np.lexsort((-np.arange(len(nodes)), graph.lengths))
    children = np.argsort(hierarchy.parents[:-1], kind='stable').reshape(-1, 2)
    leaf_order, starts, _ = hierarchy.leaf_order()
    links = leaf_order[starts[children]]
    links[nodes[order]] = graph.borders[order]
    return links

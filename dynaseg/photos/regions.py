"""Which regions of an image are shown: at a detail, of a number, of a least area."""

from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real

import numpy as np

from dynaseg.core.labels import connected_components
from dynaseg.core.regions import RegionHierarchy, remove_small_regions
from dynaseg.core.regions.graph import build_graph
from dynaseg.core.regions.groups import join_in_turn
from dynaseg.predictor import Segmentation

DETAIL = 0.5
MIN_AREA = 0.0005
STEPS = 10_000  # of detail: what the outputs tell apart
ALWAYS = 10.0  # an altitude above that of any detail


@dataclass(frozen=True)
class RegionChoice:
    """Which regions are shown.

    Attributes:
        detail: 0, coarse, to 1, fine.
        regions: their number, whatever the detail; None for those of the detail.
        min_area: share of the image below which a region is none, 0 to below 1.

    Raises:
        ValueError: if one of them is invalid.
    """

    detail: float = DETAIL
    regions: int | None = None
    min_area: float = MIN_AREA

    def __post_init__(self) -> None:
        if not (isinstance(self.detail, Real) and 0 <= self.detail <= 1):
            raise ValueError(f'detail must be from 0 (coarse) to 1 (fine), got {self.detail!r}')
        regions = self.regions
        if regions is not None and not (isinstance(regions, Integral) and regions >= 1):
            raise ValueError(f'regions must be a positive integer, got {regions!r}')
        if not (isinstance(self.min_area, Real) and 0 <= self.min_area < 1):
            raise ValueError(
                f'min_area must be a share of the image, 0 to below 1, got {self.min_area!r}'
            )
        # Records are JSON, which has no numbers of NumPy.
        object.__setattr__(self, 'detail', float(self.detail))
        object.__setattr__(self, 'regions', None if regions is None else int(regions))
        object.__setattr__(self, 'min_area', float(self.min_area))

    def count(self, hierarchy: RegionHierarchy) -> int:
        """Count the regions that are shown of a hierarchy."""
        if self.regions is not None:
            return min(self.regions, hierarchy.num_leaves)
        return hierarchy.num_regions(hierarchy.altitude(self.detail))


def find_hierarchy(segmentation: Segmentation, min_area: float = MIN_AREA) -> RegionHierarchy:
    """Get the hierarchy of a segmentation without the regions that are too small to be shown.

    Args:
        segmentation: where it has clusters alone, their connected parts are the regions at every
            detail.
        min_area: least area, as a share of the image's.

    Returns:
        The hierarchy. Parts of clusters that are too small stay with the neighbour of their longest
        border.

    Examples:
        >>> find_hierarchy(Segmentation(np.array([[0, 0, 1], [0, 0, 2]])), 0).cut_to(3)
        array([[0, 0, 1],
               [0, 0, 2]], dtype=int32)
    """
    hierarchy = segmentation.hierarchy or _join_components(segmentation.labels)
    return remove_small_regions(hierarchy, min_area * segmentation.labels.size)


def measure_steps(hierarchy: RegionHierarchy) -> np.ndarray:
    """Measure how long each joining of regions keeps its borders on view as the detail falls.

    Args:
        hierarchy: with L leaves.

    Returns:
        For each node that joins two, a number of steps, 0 to 10,001: they are apart at detail d
        where it is over 10,000 (1 - d); int64, (L - 1,).
    """
    return np.searchsorted(
        _thresholds(hierarchy.middle), hierarchy.altitudes[hierarchy.num_leaves :]
    )


def find_detail(steps: np.ndarray, regions: int) -> float:
    """Find the least detail, to four digits, that shows so many regions of a hierarchy.

    It shows a few more where merges cost the same, to four digits.

    Args:
        steps: as :func:`measure_steps` gives them, (L - 1,).
        regions: 1 to L.
    """
    return 0.0 if regions == 1 else min(1.0, round(1 - (int(steps[1 - regions]) - 1) / STEPS, 4))


@cache
def _thresholds(middle: float) -> np.ndarray:
    """Compute the altitudes of all details, from fine to coarse, of hierarchies with a middle."""
    scale = RegionHierarchy(np.zeros((1, 1), np.int32), np.zeros(1, int), np.zeros(1), middle)
    return np.array([scale.altitude(step / STEPS) for step in range(STEPS, -1, -1)])


def _join_components(labels: np.ndarray) -> RegionHierarchy:
    """Join connected parts of clusters, those of long borders first, at no detail."""
    leaves = connected_components(labels)
    graph = build_graph(leaves)
    count = int(leaves.max()) + 1
    order = np.argsort(-graph.lengths, kind='stable')
    parents, _ = join_in_turn(graph.borders[order].tolist(), count)
    altitudes = np.where(np.arange(2 * count - 1) < count, 0.0, ALWAYS)
    return RegionHierarchy(leaves, parents, altitudes, middle=1.0)

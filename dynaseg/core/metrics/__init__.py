"""Metrics of clusters, of regions, and of hierarchies of regions."""

from dynaseg.core.metrics.clusters import (
    ClassMetrics,
    class_metrics,
    contingency_table,
    match_hungarian,
    match_majority,
    match_naming,
    sum_tables,
)
from dynaseg.core.metrics.hierarchies import (
    HierarchyStatistics,
    hierarchy_statistics,
    summarize_hierarchies,
)
from dynaseg.core.metrics.regions import (
    RegionStatistics,
    region_statistics,
    summarize_regions,
)

__all__ = [
    'ClassMetrics',
    'HierarchyStatistics',
    'RegionStatistics',
    'class_metrics',
    'contingency_table',
    'hierarchy_statistics',
    'match_hungarian',
    'match_majority',
    'match_naming',
    'region_statistics',
    'sum_tables',
    'summarize_hierarchies',
    'summarize_regions',
]

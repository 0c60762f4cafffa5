from dynaseg.core.regions.build import build_hierarchy
from dynaseg.core.regions.hierarchy import RegionHierarchy
from dynaseg.core.regions.settings import DEEP, PLAIN, RegionSettings
from dynaseg.core.regions.small_regions import remove_small_regions

__all__ = [
    'DEEP',
    'PLAIN',
    'RegionHierarchy',
    'RegionSettings',
    'build_hierarchy',
    'remove_small_regions',
]

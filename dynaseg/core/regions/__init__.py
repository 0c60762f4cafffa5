from dynaseg.core.regions.build import build_hierarchy, working_image
from dynaseg.core.regions.cues import soft_labels
from dynaseg.core.regions.hierarchy import RegionHierarchy
from dynaseg.core.regions.labels import average_over_superpixels, label_regions
from dynaseg.core.regions.settings import DEEP, PLAIN, RegionSettings
from dynaseg.core.regions.small_regions import remove_small_regions
from dynaseg.core.regions.spreading import spread_marks

__all__ = [
    'DEEP',
    'PLAIN',
    'RegionHierarchy',
    'RegionSettings',
    'average_over_superpixels',
    'build_hierarchy',
    'label_regions',
    'remove_small_regions',
    'soft_labels',
    'spread_marks',
    'working_image',
]

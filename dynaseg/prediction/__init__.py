from dynaseg.prediction.refinement import GuidedFilter, LabelRefinement, ProbabilityRefinement
from dynaseg.prediction.sizes import enlarge, enlarge_labels, limit_size, resize_maps

__all__ = [
    'GuidedFilter',
    'LabelRefinement',
    'ProbabilityRefinement',
    'enlarge',
    'enlarge_labels',
    'limit_size',
    'resize_maps',
]

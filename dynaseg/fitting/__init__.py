from dynaseg.fitting.cleanup import merge_small_regions
from dynaseg.fitting.fitter import FitResult, Fitter
from dynaseg.fitting.silhouette import estimate_num_clusters

__all__ = ['FitResult', 'Fitter', 'estimate_num_clusters', 'merge_small_regions']

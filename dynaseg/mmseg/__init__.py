"""DynaSeg in MMSegmentation: ``import dynaseg.mmseg`` registers what configs name.

It also repairs what MMCV 1.x needs on today's PyTorch.
"""

from dynaseg.mmseg.quiet import silence_libraries

silence_libraries()  # before MMCV is imported, which warns a lot

from dynaseg.mmseg import compat  # noqa: E402

compat.apply()

from dynaseg.mmseg import datasets, models  # noqa: E402
from dynaseg.mmseg.amp import AmpOptimizerHook  # noqa: E402
from dynaseg.mmseg.cluster_pictures import ClusterPicturesHook  # noqa: E402
from dynaseg.mmseg.kmeans_start import KMeansStartHook  # noqa: E402
from dynaseg.mmseg.noise_whitening_start import NoiseWhiteningHook  # noqa: E402

__all__ = [
    'AmpOptimizerHook',
    'ClusterPicturesHook',
    'KMeansStartHook',
    'NoiseWhiteningHook',
    'datasets',
    'models',
]

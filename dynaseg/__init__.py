"""Unsupervised image segmentation for MMSegmentation.

``import dynaseg`` registers its models, losses and data sets in MMSegmentation's registries and
repairs what MMCV 1.x needs on today's PyTorch.
"""

from dynaseg.utils import compat

compat.apply()

from dynaseg import datasets, models  # noqa: E402
from dynaseg.version import __version__  # noqa: E402

__all__ = ['__version__', 'datasets', 'models']

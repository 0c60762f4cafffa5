"""Unsupervised image segmentation for MMSegmentation.

``import dynaseg`` registers its models, losses, data sets and hooks in the registries of MMCV and
MMSegmentation, and repairs what MMCV 1.x needs on today's PyTorch.
"""

from dynaseg.utils import compat

compat.apply()

from dynaseg import datasets, hooks, models  # noqa: E402
from dynaseg.version import __version__  # noqa: E402

__all__ = ['__version__', 'datasets', 'hooks', 'models']

"""The method in plain PyTorch, NumPy, SciPy and scikit-image: no OpenMMLab, files or configs."""

from dynaseg.core.channels import image_channels
from dynaseg.core.fitting import Fit, FitResult, Fitter
from dynaseg.core.losses import DynaSegLoss
from dynaseg.core.networks import PlainCNN, ResponseNetwork
from dynaseg.core.refinement import LabelRefinement, ProbabilityRefinement
from dynaseg.core.silhouette import estimate_num_clusters

__all__ = [
    'DynaSegLoss',
    'Fit',
    'FitResult',
    'Fitter',
    'LabelRefinement',
    'PlainCNN',
    'ProbabilityRefinement',
    'ResponseNetwork',
    'estimate_num_clusters',
    'image_channels',
]

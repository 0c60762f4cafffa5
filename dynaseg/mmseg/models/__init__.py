from mmseg.models.builder import LOSSES

from dynaseg.core.losses import DynaSegLoss
from dynaseg.mmseg.models.efficientnet_lite import (
    EfficientNetLite0,
    EfficientNetLite1,
    EfficientNetLite2,
)
from dynaseg.mmseg.models.noise_whitening import NoiseWhitening
from dynaseg.mmseg.models.normalized_levels import NormalizedLevels
from dynaseg.mmseg.models.plain_cnn import PlainCNN
from dynaseg.mmseg.models.response_head import ResponseHead
from dynaseg.mmseg.models.segmentor import DynaSeg
from dynaseg.mmseg.models.timm_features import TimmFeatures

# The loss itself knows nothing of registries, so that it can be used alone.
LOSSES.register_module(module=DynaSegLoss)

__all__ = [
    'DynaSeg',
    'DynaSegLoss',
    'EfficientNetLite0',
    'EfficientNetLite1',
    'EfficientNetLite2',
    'NoiseWhitening',
    'NormalizedLevels',
    'PlainCNN',
    'ResponseHead',
    'TimmFeatures',
]

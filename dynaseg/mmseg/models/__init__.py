from mmseg.models.builder import LOSSES

from dynaseg.core.losses import DynaSegLoss
from dynaseg.core.smoothness import SmoothnessLoss
from dynaseg.mmseg.models.auxiliary_loss import DynaSegAuxiliaryLoss, LossPartsHook
from dynaseg.mmseg.models.efficientnet_lite import (
    EfficientNetLite0,
    EfficientNetLite1,
    EfficientNetLite2,
)
from dynaseg.mmseg.models.joined_backbones import JoinedBackbones
from dynaseg.mmseg.models.noise_whitening import NoiseWhitening
from dynaseg.mmseg.models.normalized_levels import NormalizedLevels
from dynaseg.mmseg.models.plain_cnn import PlainCNN
from dynaseg.mmseg.models.projection_head import ProjectionHead
from dynaseg.mmseg.models.response_head import ResponseHead
from dynaseg.mmseg.models.segmentor import DynaSeg
from dynaseg.mmseg.models.timm_features import TimmFeatures

# The losses themselves do not depend on registries, so that they can be used alone.
LOSSES.register_module(module=DynaSegLoss)
LOSSES.register_module(module=SmoothnessLoss)

__all__ = [
    'DynaSeg',
    'DynaSegAuxiliaryLoss',
    'DynaSegLoss',
    'EfficientNetLite0',
    'EfficientNetLite1',
    'EfficientNetLite2',
    'JoinedBackbones',
    'LossPartsHook',
    'NoiseWhitening',
    'NormalizedLevels',
    'PlainCNN',
    'ProjectionHead',
    'ResponseHead',
    'SmoothnessLoss',
    'TimmFeatures',
]

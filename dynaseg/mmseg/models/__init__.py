from mmseg.models.builder import LOSSES

from dynaseg.core.losses import DynaSegLoss
from dynaseg.mmseg.models.auxiliary_loss import DynaSegAuxiliaryLoss, LossPartsHook
from dynaseg.mmseg.models.efficientnet_lite import EfficientNetLite0
from dynaseg.mmseg.models.normalized_levels import NormalizedLevels
from dynaseg.mmseg.models.plain_cnn import PlainCNN
from dynaseg.mmseg.models.response_head import ResponseHead
from dynaseg.mmseg.models.segmentor import DynaSeg
from dynaseg.mmseg.models.timm_features import TimmFeatures

# The loss itself knows nothing of registries, so that it can be used alone.
LOSSES.register_module(module=DynaSegLoss)

__all__ = [
    'DynaSeg',
    'DynaSegAuxiliaryLoss',
    'DynaSegLoss',
    'EfficientNetLite0',
    'LossPartsHook',
    'NormalizedLevels',
    'PlainCNN',
    'ResponseHead',
    'TimmFeatures',
]

from dynaseg.models.losses import DynaSegLoss  # isort: skip  (the segmentor's fitting needs it)
from dynaseg.models.backbones import EfficientNetLite0, PlainCNN, TimmBackbone
from dynaseg.models.decode_heads import ResponseHead
from dynaseg.models.necks import NormalizedLevels
from dynaseg.models.segmentors import DynaSeg

__all__ = [
    'DynaSeg',
    'DynaSegLoss',
    'EfficientNetLite0',
    'NormalizedLevels',
    'PlainCNN',
    'ResponseHead',
    'TimmBackbone',
]

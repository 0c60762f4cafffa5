from dynaseg.models.backbones.efficientnet_lite import EfficientNetLite0
from dynaseg.models.backbones.plain_cnn import PlainCNN
from dynaseg.models.backbones.timm_backbone import TimmBackbone

__all__ = ['EfficientNetLite0', 'PlainCNN', 'TimmBackbone']

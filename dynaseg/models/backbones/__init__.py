from dynaseg.models.backbones.efficientnet_lite import EfficientNetLite0
from dynaseg.models.backbones.plain_cnn import PlainCNN

__all__ = ['EfficientNetLite0', 'PlainCNN']

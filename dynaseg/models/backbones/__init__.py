from dynaseg.models.backbones.plain_cnn import PlainCNN

__all__ = ['PlainCNN']

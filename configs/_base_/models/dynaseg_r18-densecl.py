# A frozen ResNet-18 that mmselfsup trained on the data set itself, in place of EfficientNet-Lite0.
_base_ = './dynaseg_efficientnet-lite0.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=18,
        out_indices=(1, 2, 3),
        frozen_stages=4,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        style='pytorch',
    ),
    decode_head=dict(in_channels=128 + 256 + 512),
)

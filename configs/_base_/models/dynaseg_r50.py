# A frozen ResNet-50 in place of EfficientNet-Lite0; the rest is unchanged.
_base_ = './dynaseg_efficientnet-lite0.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=50,
        out_indices=(1, 2, 3),
        frozen_stages=4,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    decode_head=dict(in_channels=512 + 1024 + 2048),
)

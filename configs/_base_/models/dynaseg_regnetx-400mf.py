# MMDetection's RegNetX-400MF, frozen; needs the import 'mmdet.models'.
_base_ = './dynaseg_efficientnet-lite0.py'
model = dict(
    img_norm_cfg=dict(mean=[103.53, 116.28, 123.675], std=[57.375, 57.12, 58.395], to_rgb=False),
    backbone=dict(
        _delete_=True,
        type='mmdet.RegNet',
        arch='regnetx_400mf',
        out_indices=(1, 2, 3),
        frozen_stages=4,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://regnetx_400mf'),
    ),
    decode_head=dict(in_channels=64 + 160 + 384),
)

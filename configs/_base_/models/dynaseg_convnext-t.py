# MMClassification's ConvNeXt-T, frozen; needs the import 'mmcls.models'. A classifier's checkpoint
# has no norms after the inner levels: they keep their initial values.
_base_ = './dynaseg_efficientnet-lite0.py'
model = dict(
    allow_missing=['backbone.norm1.', 'backbone.norm2.'],
    backbone=dict(
        _delete_=True,
        type='mmcls.ConvNeXt',
        arch='tiny',
        out_indices=(1, 2, 3),
        frozen_stages=4,
        gap_before_final_norm=False,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/convnext/downstream/'
            'convnext-tiny_3rdparty_32xb128-noema_in1k_20220301-795e9634.pth',
            prefix='backbone.',
        ),
    ),
    decode_head=dict(in_channels=192 + 384 + 768),
)

# A frozen Swin-T. A classifier's checkpoint has no norms after the levels: they keep their initial
# values.
_base_ = './dynaseg_efficientnet-lite0.py'
model = dict(
    allow_missing=['backbone.norm1.', 'backbone.norm2.', 'backbone.norm3.'],
    backbone=dict(
        _delete_=True,
        type='SwinTransformer',
        embed_dims=96,
        depths=(2, 2, 6, 2),
        num_heads=(3, 6, 12, 24),
        window_size=7,
        out_indices=(1, 2, 3),
        frozen_stages=4,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/swin/'
            'swin_tiny_patch4_window7_224_20220317-1cdeb081.pth',
        ),
    ),
    decode_head=dict(in_channels=192 + 384 + 768),
)

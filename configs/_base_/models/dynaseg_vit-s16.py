# A frozen ViT-S/16 whose self-supervised weights must be downloaded beforehand: DINO's, from
# https://github.com/facebookresearch/dino (ViT-S/16, backbone only).
model = dict(
    type='DynaSeg',
    backbone=dict(
        type='TimmFeatures',
        name='vit_small_patch16_224.dino',
        out_indices=(11,),
        dynamic_img_size=True,
        dynamic_img_pad=True,
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/dino_deitsmall16_pretrain.pth'),
    ),
    neck=dict(type='NormalizedLevels'),
    decode_head=dict(
        type='ResponseHead',
        in_channels=384,
        num_classes=27,
        loss_decode=dict(type='DynaSegLoss', weighting='fsf', mu=7.5, entropy_weight=2.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)

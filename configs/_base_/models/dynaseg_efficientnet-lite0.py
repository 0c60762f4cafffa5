# Frozen ImageNet features at stride 16, from three levels of equal weight. Tests see images at
# twice their size, up to 700,000 pixels, and labels follow the images' edges.
model = dict(
    type='DynaSeg',
    backbone=dict(type='EfficientNetLite0', out_indices=(2, 3, 4), frozen=True),
    neck=dict(type='NormalizedLevels', target=1),
    decode_head=dict(
        type='ResponseHead',
        in_channels=40 + 112 + 320,
        num_classes=27,
        loss_decode=dict(type='DynaSegLoss', weighting='fsf', mu=7.5, entropy_weight=2.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(
        mode='whole',
        predict_scale=2.0,
        predict_pixels=700000,
        refine=dict(radius=16, eps=0.01),
    ),
)

# The paper's network: a plain CNN at the image's own resolution, p = q = 100.
model = dict(
    type='DynaSeg',
    backbone=dict(type='PlainCNN', channels=100, num_blocks=2),
    decode_head=dict(
        type='ResponseHead',
        in_channels=100,
        num_classes=100,
        loss_decode=dict(type='DynaSegLoss', weighting='scf'),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)

# A hierarchy of regions an image, of four small networks that are fitted to its texture.
model = dict(
    type='DynaSeg',
    backbone=dict(type='PlainCNN', in_channels=9, channels=32, num_blocks=2),
    decode_head=dict(
        type='ResponseHead',
        in_channels=32,
        num_classes=32,
        loss_decode=dict(type='DynaSegLoss', weighting='fsf'),
    ),
    train_cfg=dict(),
    test_cfg=dict(
        mode='whole',
        fit=dict(iterations=30, lr=0.2, momentum=0.9, fit_pixels=2500),
        regions=dict(num_fits=4, channels='texture'),
    ),
)

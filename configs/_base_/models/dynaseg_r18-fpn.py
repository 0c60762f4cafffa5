# A pretrained ResNet-18 whose FPN gives features at a quarter of the resolution.
model = dict(
    type='DynaSeg',
    backbone=dict(
        type='ResNet',
        depth=18,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        norm_cfg=dict(type='BN', requires_grad=True),
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet18'),
    ),
    neck=dict(type='FPN', in_channels=[64, 128, 256, 512], out_channels=256, num_outs=4),
    decode_head=dict(
        type='ResponseHead',
        in_channels=256,
        in_index=0,
        num_classes=100,
        loss_decode=dict(type='DynaSegLoss', weighting='scf'),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
find_unused_parameters = True  # of the FPN's coarser outputs, which the head does not read

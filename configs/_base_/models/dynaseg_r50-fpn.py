# A pretrained ResNet-50, frozen, whose FPN is trained; features at a sixteenth of the resolution.
model = dict(
    type='DynaSeg',
    backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=4,
        out_indices=(2, 3),
        frozen_stages=4,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    neck=dict(type='FPN', in_channels=[1024, 2048], out_channels=256, num_outs=2),
    decode_head=dict(
        type='ResponseHead',
        in_channels=256,
        num_classes=27,
        loss_decode=dict(type='DynaSegLoss', weighting='fsf', mu=7.5, entropy_weight=2.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
find_unused_parameters = True  # of the FPN's coarser output, which the head does not read

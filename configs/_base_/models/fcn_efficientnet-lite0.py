# MMSegmentation's FCN on frozen ImageNet features; masks like CamVid's, where 11 is void.
model = dict(
    type='EncoderDecoder',
    backbone=dict(type='EfficientNetLite0', out_indices=(2, 3, 4), frozen=True),
    decode_head=dict(
        type='FCNHead',
        in_channels=[40, 112, 320],
        in_index=[0, 1, 2],
        input_transform='resize_concat',
        channels=64,
        num_convs=1,
        concat_input=False,
        num_classes=11,
        ignore_index=11,
        norm_cfg=dict(type='BN'),
        loss_decode=[dict(type='CrossEntropyLoss', avg_non_ignore=True)],
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)

# COCO-Stuff with 27 classes in PiCIE's split; see data/README.md for the layout.
dataset_type = 'CocoStuff27Dataset'
data_root = 'data'
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
crop_size = (320, 320)
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='Resize', img_scale=(2048, 320), ratio_range=(1.0, 1.5)),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size=crop_size),
    dict(type='ImageToTensor', keys=['img']),
    dict(type='Collect', keys=['img']),
]
test_pipeline = [
    dict(type='LoadImage'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(2048, 320),
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='Normalize', **img_norm_cfg),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ],
    ),
]
data = dict(
    samples_per_gpu=16,
    workers_per_gpu=4,
    train=dict(type=dataset_type, data_root=data_root, subset='train2017', pipeline=train_pipeline),
    val=dict(type=dataset_type, data_root=data_root, subset='val2017', pipeline=test_pipeline),
    test=dict(type=dataset_type, data_root=data_root, subset='val2017', pipeline=test_pipeline),
)

# CamVid: 300 images to train on without labels, 67 to test; see data/README.md for the layout.
dataset_type = 'CamVidDataset'
data_root = 'data/camvid'
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='ImageToTensor', keys=['img']),
    dict(type='Collect', keys=['img']),
]
test_pipeline = [
    dict(type='LoadImage'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=None,
        img_ratios=[1.0],
        flip=False,
        transforms=[
            dict(type='Normalize', **img_norm_cfg),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ],
    ),
]
data = dict(
    samples_per_gpu=8,
    workers_per_gpu=1,
    train=dict(type=dataset_type, data_root=data_root, subset='train', pipeline=train_pipeline),
    val=dict(type=dataset_type, data_root=data_root, subset='val', pipeline=test_pipeline),
    test=dict(type=dataset_type, data_root=data_root, subset='val', pipeline=test_pipeline),
)

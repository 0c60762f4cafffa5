# CamVid at half its size: 30 labelled images, ten times each, and all 300 without labels. For 10:
# data.train.0.times=30 data.train.0.dataset.max_images=10
dataset_type = 'LabelledCamVidDataset'
data_root = 'data/camvid'
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
rest = [
    dict(type='Resize', img_scale=(240, 180)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]
labelled_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadAnnotations', imdecode_backend='pillow'),
    *rest,
]
unlabelled_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadNoAnnotations', ignore_index=11),
    *rest,
]
test_pipeline = [
    dict(type='LoadImage'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(240, 180),
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='Normalize', **img_norm_cfg),
            dict(type='DefaultFormatBundle'),
            dict(type='Collect', keys=['img']),
        ],
    ),
]
labelled = dict(
    type='RepeatDataset',
    times=10,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        subset='train',
        max_images=30,
        pipeline=labelled_pipeline,
    ),
)
unlabelled = dict(
    type=dataset_type, data_root=data_root, subset='train', pipeline=unlabelled_pipeline
)
test = dict(type=dataset_type, data_root=data_root, subset='val', pipeline=test_pipeline)
data = dict(
    samples_per_gpu=4,
    workers_per_gpu=1,
    train=[labelled, unlabelled],
    val=test,
    test=test,
)

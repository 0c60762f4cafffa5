# Any folder of images, without labels: give data.train.img_dir and data.test.img_dir. Train with
# --no-validate, or point data.val to a data set with labels.
dataset_type = 'ImageFolderDataset'
img_dir = 'data/images'
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
        img_scale=None,
        img_ratios=[1.0],  # [0.5] works at half size; label maps have the image's own
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='Normalize', **img_norm_cfg),
            dict(type='DefaultFormatBundle'),  # a batch may hold several sizes
            dict(type='Collect', keys=['img']),
        ],
    ),
]
data = dict(
    samples_per_gpu=4,
    workers_per_gpu=2,
    train_dataloader=dict(drop_last=False),  # a folder may hold fewer images than a batch
    test_dataloader=dict(samples_per_gpu=1),  # images fitted at once; 32 or more fill a GPU
    train=dict(type=dataset_type, img_dir=img_dir, pipeline=train_pipeline),
    val=dict(type=dataset_type, img_dir=img_dir, pipeline=test_pipeline),
    test=dict(type=dataset_type, img_dir=img_dir, pipeline=test_pipeline),
)

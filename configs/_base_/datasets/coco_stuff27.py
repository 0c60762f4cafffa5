# COCO-Stuff with 27 classes in PiCIE's split; see data/README.md for the layout.
import os

_base_ = './scaled_crops.py'
dataset_type = 'CocoStuff27Dataset'
data_root = 'data'
test_pipeline = [
    dict(type='LoadImage'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(2048, 320),
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='DefaultFormatBundle'),
            dict(type='Collect', keys=['img']),
        ],
    ),
]
data = dict(
    samples_per_gpu=16,
    workers_per_gpu=min(4, os.cpu_count() or 1),
    train=dict(type=dataset_type, data_root=data_root, subset='train2017'),
    val=dict(type=dataset_type, data_root=data_root, subset='val2017', pipeline=test_pipeline),
    test=dict(type=dataset_type, data_root=data_root, subset='val2017', pipeline=test_pipeline),
)

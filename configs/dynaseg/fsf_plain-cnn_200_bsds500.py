# Weights to start the fitting of images from, trained without labels at the size at which
# fit-fast sees an image; docs/results.md compares them with fresh ones.
_base_ = [
    '../_base_/models/dynaseg_plain-cnn.py',
    '../_base_/datasets/bsds500.py',
    '../_base_/schedules/schedule_200.py',
    '../_base_/default_runtime.py',
]
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='Resize', img_scale=(1000, 80)),
    dict(type='RandomCrop', crop_size=(80, 80)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img']),
]
data = dict(samples_per_gpu=8, train=dict(pipeline=train_pipeline))
model = dict(decode_head=dict(loss_decode=dict(weighting='fsf')))
optimizer = dict(lr=0.05)

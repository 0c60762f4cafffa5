# Shared by data sets that train on crops at the images' own size.
_base_ = './whole_images.py'
crop_size = (320, 320)
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Pad', size=crop_size, pad_val=114),  # about ImageNet's mean
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img']),
]
data = dict(train=dict(pipeline=train_pipeline))

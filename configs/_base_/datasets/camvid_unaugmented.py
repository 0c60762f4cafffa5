# CamVid without augmentation of training images, so that features on disk can be reused.
_base_ = './camvid.py'
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img'], meta_keys=('filename', 'img_norm_cfg')),
]
data = dict(samples_per_gpu=1, train=dict(pipeline=train_pipeline))

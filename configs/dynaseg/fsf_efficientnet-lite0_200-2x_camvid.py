# Training also sees images at twice their size, in crops: more pixels are right, but a cluster may
# stay empty.
_base_ = './fsf_efficientnet-lite0_200_camvid.py'
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='Resize', img_scale=(960, 720), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(360, 480)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img']),
]
data = dict(train=dict(pipeline=train_pipeline))

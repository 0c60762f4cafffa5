# 44 clusters of CamVid by two networks, to be named.
_base_ = [
    '../_base_/models/dynaseg_efficientnet-lite2-r50-mnf.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/schedule_start.py',
    '../_base_/default_runtime.py',
]
model = dict(test_cfg=dict(superpixels=True))
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img'], meta_keys=('filename', 'img_norm_cfg')),
]
data = dict(samples_per_gpu=1, train=dict(pipeline=train_pipeline))

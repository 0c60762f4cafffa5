# Classes from a data set: a projection of frozen features, trained for smooth assignments.
_base_ = [
    '../_base_/models/dynaseg_efficientnet-lite0-mnf.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/schedule_200.py',
    '../_base_/default_runtime.py',
]
model = dict(
    decode_head=dict(
        _delete_=True,
        type='ProjectionHead',
        in_channels=48,
        num_classes=11,
        loss_decode=dict(type='SmoothnessLoss'),
    )
)
optimizer = dict(_delete_=True, type='Adam', lr=5e-4)
lr_config = dict(_delete_=True, policy='fixed', by_epoch=False)
runner = dict(max_iters=300)
checkpoint_config = dict(interval=300)
evaluation = dict(interval=300)
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img'], meta_keys=('filename', 'img_norm_cfg')),
]
data = dict(samples_per_gpu=6, train=dict(pipeline=train_pipeline))

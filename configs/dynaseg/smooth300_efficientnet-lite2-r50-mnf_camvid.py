# Classes from a data set: features of two frozen networks, projected for smooth assignments.
_base_ = [
    '../_base_/models/dynaseg_efficientnet-lite2-r50-mnf.py',
    '../_base_/datasets/camvid_unaugmented.py',
    '../_base_/schedules/schedule_smooth300.py',
    '../_base_/default_runtime.py',
]
model = dict(
    decode_head=dict(
        _delete_=True,
        type='ProjectionHead',
        in_channels=48,
        num_classes=11,
        loss_decode=dict(type='SmoothnessLoss', across=0.4, least_share=0.015),
    ),
    test_cfg=dict(superpixels=True),
)
data = dict(samples_per_gpu=6)

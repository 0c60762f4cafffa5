# Classes from a data set: a projection of frozen features, trained for smooth assignments.
_base_ = [
    '../_base_/models/dynaseg_efficientnet-lite0-mnf.py',
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
        temperature=0.05,
        loss_decode=dict(type='SmoothnessLoss', across=0.2, least_share=0.015),
    ),
    test_cfg=dict(superpixels=True, keep=True),  # at dusk the filter would take a whole cluster
)
data = dict(samples_per_gpu=6)

# Small images: features at an eighth of the resolution, and as many clusters as there are classes.
_base_ = [
    '../_base_/models/dynaseg_efficientnet-lite0.py',
    '../_base_/datasets/sample.py',
    '../_base_/schedules/schedule_200.py',
    '../_base_/kmeans_start.py',
    '../_base_/default_runtime.py',
]
model = dict(
    neck=dict(target=0),
    decode_head=dict(num_classes=7),
    test_cfg=dict(_delete_=True, mode='whole'),
)
data = dict(samples_per_gpu=8)

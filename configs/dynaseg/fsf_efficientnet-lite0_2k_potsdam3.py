_base_ = [
    '../_base_/models/dynaseg_efficientnet-lite0.py',
    '../_base_/datasets/potsdam3.py',
    '../_base_/schedules/schedule_2k.py',
    '../_base_/kmeans_start.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes=3))

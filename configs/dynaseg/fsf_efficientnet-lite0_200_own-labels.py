# Classes from a folder of images, evaluated against your own masks.
_base_ = [
    '../_base_/models/dynaseg_efficientnet-lite0.py',
    '../_base_/datasets/own_labels.py',
    '../_base_/schedules/schedule_200.py',
    '../_base_/kmeans_start.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes=4))
data = dict(samples_per_gpu=8)

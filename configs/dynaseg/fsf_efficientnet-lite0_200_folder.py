# Classes from a folder of images, without labels to validate on: train with --no-validate.
_base_ = [
    '../_base_/models/dynaseg_efficientnet-lite0.py',
    '../_base_/datasets/image_folder.py',
    '../_base_/schedules/schedule_200.py',
    '../_base_/kmeans_start.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes=16))
data = dict(samples_per_gpu=8)

_base_ = [
    '../_base_/models/dynaseg_r50-fpn.py',
    '../_base_/datasets/coco_stuff27.py',
    '../_base_/schedules/schedule_2k.py',
    '../_base_/kmeans_start.py',
    '../_base_/default_runtime.py',
]
data = dict(samples_per_gpu=64)

_base_ = [
    '../_base_/models/dynaseg_efficientnet-lite0.py',
    '../_base_/datasets/coco_stuff27_stego.py',
    '../_base_/schedules/schedule_2k.py',
    '../_base_/kmeans_start.py',
    '../_base_/default_runtime.py',
]

_base_ = [
    '../_base_/models/dynaseg_r18-fpn.py',
    '../_base_/datasets/coco_stuff27.py',
    '../_base_/schedules/schedule_10k.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes=27))

_base_ = [
    '../_base_/models/dynaseg_r18-fpn.py',
    '../_base_/datasets/sample.py',
    '../_base_/schedules/schedule_100.py',
    '../_base_/default_runtime.py',
]
# From random weights, so that it runs without a download.
model = dict(backbone=dict(init_cfg=None), decode_head=dict(num_classes=27))

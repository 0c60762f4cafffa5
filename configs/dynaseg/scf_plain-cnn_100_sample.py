_base_ = [
    '../_base_/models/dynaseg_plain-cnn.py',
    '../_base_/datasets/sample.py',
    '../_base_/schedules/schedule_100.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes=27))

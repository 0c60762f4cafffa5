# After selfsup/densecl_r18_20e_sample.py; see docs/self-supervised.md.
_base_ = [
    '../_base_/models/dynaseg_r18-densecl.py',
    '../_base_/datasets/sample.py',
    '../_base_/schedules/schedule_200.py',
    '../_base_/kmeans_start.py',
    '../_base_/default_runtime.py',
]
checkpoint = 'work_dirs/densecl_r18_20e_sample/latest.pth'
model = dict(
    backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone')),
    neck=dict(target=0),
    decode_head=dict(num_classes=7),
    test_cfg=dict(_delete_=True, mode='whole'),
)
data = dict(samples_per_gpu=8)

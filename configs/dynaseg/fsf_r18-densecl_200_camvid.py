# After selfsup/densecl_r18_20e_camvid.py; see docs/self-supervised.md.
_base_ = [
    '../_base_/models/dynaseg_r18-densecl.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/schedule_200.py',
    '../_base_/kmeans_start.py',
    '../_base_/default_runtime.py',
]
checkpoint = 'work_dirs/densecl_r18_20e_camvid/latest.pth'
model = dict(
    backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone')),
    decode_head=dict(num_classes=11),
)

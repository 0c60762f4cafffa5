# After selfsup/densecl_r18_20e_folder.py; see docs/self-supervised.md. Train with --no-validate.
_base_ = [
    '../_base_/models/dynaseg_r18-densecl.py',
    '../_base_/datasets/image_folder.py',
    '../_base_/schedules/schedule_200.py',
    '../_base_/kmeans_start.py',
    '../_base_/default_runtime.py',
]
checkpoint = 'work_dirs/densecl_r18_20e_folder/latest.pth'
model = dict(
    backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone')),
    decode_head=dict(num_classes=16),
)
data = dict(samples_per_gpu=8)

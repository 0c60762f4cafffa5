_base_ = [
    '../_base_/models/dynaseg_convnext-t.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/schedule_200.py',
    '../_base_/kmeans_start.py',
    '../_base_/default_runtime.py',
]
custom_imports = dict(imports=['dynaseg.mmseg', 'mmcls.models'])
model = dict(decode_head=dict(num_classes=11))

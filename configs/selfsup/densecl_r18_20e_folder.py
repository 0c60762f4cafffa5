# Features from a folder of images, without labels; give data.train.data_source.dataset.img_dir.
_base_ = [
    '../_base_/models/densecl_r18.py',
    '../_base_/datasets/two_views.py',
    '../_base_/selfsup_runtime.py',
]
work_dir = './work_dirs/{{ fileBasenameNoExtension }}'

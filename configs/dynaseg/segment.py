# What `segment` uses by default.
_base_ = [
    '../_base_/models/dynaseg_plain-cnn_regions.py',
    '../_base_/datasets/image_folder.py',
    '../_base_/default_runtime.py',
]

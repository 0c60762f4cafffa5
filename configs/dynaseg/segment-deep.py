# `segment --config segment-deep.py`: regions with ImageNet features.
_base_ = [
    '../_base_/models/dynaseg_plain-cnn_regions-deep.py',
    '../_base_/datasets/image_folder.py',
    '../_base_/default_runtime.py',
]

_base_ = [
    '../_base_/models/dynaseg_plain-cnn_regions.py',
    '../_base_/datasets/voc12_regions.py',
    '../_base_/default_runtime.py',
]

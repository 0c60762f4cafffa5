_base_ = [
    '../_base_/models/dynaseg_plain-cnn_regions.py',
    '../_base_/datasets/bsds500.py',
    '../_base_/default_runtime.py',
]

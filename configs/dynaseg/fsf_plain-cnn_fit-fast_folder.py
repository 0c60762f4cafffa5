# Only clusters, from one fit per image, for `segment --config`.
_base_ = [
    '../_base_/models/dynaseg_plain-cnn_fit-fast.py',
    '../_base_/datasets/image_folder.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(loss_decode=dict(weighting='fsf')))

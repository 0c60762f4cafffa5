# 44 clusters of CamVid by two networks, to be named.
_base_ = [
    '../_base_/models/dynaseg_efficientnet-lite2-r50-mnf.py',
    '../_base_/datasets/camvid_unaugmented.py',
    '../_base_/schedules/schedule_start.py',
    '../_base_/default_runtime.py',
]
model = dict(neck=dict(target=0), test_cfg=dict(superpixels=True))

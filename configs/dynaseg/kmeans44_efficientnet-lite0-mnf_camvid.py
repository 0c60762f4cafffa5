# 44 clusters of CamVid, to be named.
_base_ = [
    '../_base_/models/dynaseg_efficientnet-lite0-mnf.py',
    '../_base_/datasets/camvid_unaugmented.py',
    '../_base_/schedules/schedule_start.py',
    '../_base_/default_runtime.py',
]
model = dict(test_cfg=dict(superpixels=True))

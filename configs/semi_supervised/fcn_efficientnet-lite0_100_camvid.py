# Only labels, for comparison: images without labels have no loss.
_base_ = [
    '../_base_/models/fcn_efficientnet-lite0.py',
    '../_base_/datasets/camvid_few_labels.py',
    '../_base_/schedules/schedule_100.py',
    '../_base_/default_runtime.py',
]
evaluation = dict(interval=100)

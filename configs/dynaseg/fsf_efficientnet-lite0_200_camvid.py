# Classes from a data set: clusters start from K-means, the loss joins neighbours, and the
# marginal entropy keeps every cluster alive.
_base_ = [
    '../_base_/models/dynaseg_efficientnet-lite0.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/schedule_200.py',
    '../_base_/kmeans_start.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes=11))

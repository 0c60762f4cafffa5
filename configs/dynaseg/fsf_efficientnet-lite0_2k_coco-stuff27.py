_base_ = [
    '../_base_/models/dynaseg_efficientnet-lite0.py',
    '../_base_/datasets/coco_stuff27.py',
    '../_base_/schedules/schedule_2k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    decode_head=dict(num_classes=27, loss_decode=dict(weighting='fsf', mu=7.5, balance=2.0))
)
custom_hooks = [dict(type='KMeansStartHook')]

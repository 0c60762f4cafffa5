# DynaSeg's loss in addition to the labels: images without labels train the head as well.
_base_ = './fcn_efficientnet-lite0_100_camvid.py'
model = dict(
    decode_head=dict(
        loss_decode=[
            dict(type='CrossEntropyLoss', avg_non_ignore=True),
            dict(type='DynaSegAuxiliaryLoss', weighting='fsf', loss_weight=0.1),
        ]
    )
)
custom_hooks = [dict(type='LossPartsHook')]

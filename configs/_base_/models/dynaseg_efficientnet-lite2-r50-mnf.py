# Two networks side by side; ResNet-50 ends at its third stage, whose output is used.
_base_ = './dynaseg_efficientnet-lite0-mnf.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='JoinedBackbones',
        backbones=[
            dict(type='EfficientNetLite2', out_indices=(2, 3, 4), frozen=True),
            dict(
                type='ResNet',
                depth=50,
                num_stages=3,
                strides=(1, 2, 2),
                dilations=(1, 1, 1),
                out_indices=(2,),
                frozen_stages=3,
                norm_cfg=dict(type='BN', requires_grad=False),
                norm_eval=True,
                style='pytorch',
                init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
            ),
        ],
    ),
    neck=dict(in_channels=48 + 120 + 352 + 1024),
)
custom_hooks = [
    dict(type='NoiseWhiteningHook', pixels_per_image=1000),
    dict(type='KMeansStartHook', scale=4.0),
]

# Regions with ImageNet features as well: in the descriptors of regions, and as 22 more channels.
_base_ = './dynaseg_plain-cnn_regions.py'
model = dict(
    backbone=dict(in_channels=9 + 22),
    test_cfg=dict(
        regions=dict(
            preset='deep',
            backbone=dict(type='EfficientNetLite0', out_indices=(1, 2, 3, 4)),
            components=(6, 8, 8),
        )
    ),
)

# Fitting each image at its own size, as published.
_base_ = './dynaseg_plain-cnn.py'
model = dict(
    test_cfg=dict(
        fit=dict(iterations=100, lr=0.1, momentum=0.9, floor='silhouette', min_region=1.5e-4)
    )
)

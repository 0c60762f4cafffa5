# One hierarchy of regions per image, from four small networks fitted to its texture.
_base_ = './dynaseg_plain-cnn.py'
model = dict(
    backbone=dict(in_channels=9, channels=32),
    decode_head=dict(in_channels=32, num_classes=32, loss_decode=dict(weighting='fsf')),
    test_cfg=dict(
        fit=dict(iterations=20, lr=0.2, momentum=0.9, fit_pixels=1600),
        regions=dict(num_fits=4, channels='texture'),
    ),
)

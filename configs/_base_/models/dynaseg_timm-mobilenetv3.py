# A timm network, frozen: MobileNetV3-Large with weights from timm's releases.
_base_ = './dynaseg_efficientnet-lite0.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='TimmFeatures',
        name='mobilenetv3_large_100',
        out_indices=(2, 3, 4),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://github.com/huggingface/pytorch-image-models/releases/download/'
            'v0.1-weights/mobilenetv3_large_100_ra-f55367f5.pth',
        ),
    ),
    decode_head=dict(in_channels=40 + 112 + 960),
)

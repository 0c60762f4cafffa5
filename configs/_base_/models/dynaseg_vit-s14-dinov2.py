# A frozen ViT-S/14 whose self-supervised weights must be downloaded beforehand: DINOv2's, from
# https://github.com/facebookresearch/dinov2 (ViT-S/14 distilled, backbone only).
_base_ = './dynaseg_vit-s16.py'
model = dict(
    backbone=dict(
        name='vit_small_patch14_dinov2.lvd142m',
        init_cfg=dict(checkpoint='checkpoints/dinov2_vits14_pretrain.pth'),
    ),
)

# MMSegmentation's own ViT, with weights of DeiT-S/16 converted beforehand by its
# tools/model_converters/vit2mmseg.py. It has no option to freeze it, so its learning rate is zero.
_base_ = './dynaseg_efficientnet-lite0.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='VisionTransformer',
        img_size=224,
        patch_size=16,
        embed_dims=384,
        num_layers=12,
        num_heads=6,
        out_indices=(11,),
        final_norm=True,
        norm_cfg=dict(type='LN', eps=1e-6),
        interpolate_mode='bicubic',
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/deit_small_patch16_224.pth'),
    ),
    neck=dict(target=0),
    decode_head=dict(in_channels=384),
)

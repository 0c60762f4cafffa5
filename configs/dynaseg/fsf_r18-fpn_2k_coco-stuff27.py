_base_ = './fsf_r50-fpn_2k_coco-stuff27.py'
model = dict(
    backbone=dict(depth=18, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet18')),
    neck=dict(in_channels=[256, 512]),
)

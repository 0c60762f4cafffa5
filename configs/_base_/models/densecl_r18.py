# DenseCL (Wang et al., CVPR 2021) on ResNet-18, in one process. The scope before the type lets
# mmselfsup's script train it without a launcher.
custom_imports = dict(imports=['dynaseg.mmseg.selfsup'], allow_failed_imports=False)
model = dict(
    type='mmselfsup.DenseCL',
    queue_len=256,  # a whole number of batches, and fewer keys than images
    feat_dim=128,
    momentum=0.99,
    loss_lambda=0.5,
    backbone=dict(
        type='ResNet',
        depth=18,
        in_channels=3,
        out_indices=[4],  # 0 is the stem
        norm_cfg=dict(type='BN'),
    ),
    neck=dict(
        type='DenseCLNeck', in_channels=512, hid_channels=512, out_channels=128, num_grid=None
    ),
    head=dict(type='ContrastiveHead', temperature=0.2),
)

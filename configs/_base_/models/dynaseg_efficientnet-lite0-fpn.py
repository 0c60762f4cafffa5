# A trained FPN in place of the raw levels.
_base_ = './dynaseg_efficientnet-lite0.py'
model = dict(
    backbone=dict(out_indices=(3, 4)),
    neck=dict(_delete_=True, type='FPN', in_channels=[112, 320], out_channels=256, num_outs=2),
    decode_head=dict(in_channels=256),
)
find_unused_parameters = True  # of the FPN's coarser output, which the head does not read

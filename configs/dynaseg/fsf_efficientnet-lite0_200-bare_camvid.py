# Only DynaSeg's loss on the same features, for comparison.
_base_ = './fsf_efficientnet-lite0_200_camvid.py'
model = dict(decode_head=dict(loss_decode=dict(mu=15.0, entropy_weight=0.0)))
optimizer = dict(lr=0.1)
custom_hooks = []

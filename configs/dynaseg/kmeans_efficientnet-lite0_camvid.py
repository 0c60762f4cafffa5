# K-means on the same features, for comparison: the clusters stay where they start.
_base_ = './fsf_efficientnet-lite0_200_camvid.py'
model = dict(decode_head=dict(norm_cfg=dict(type='BN', momentum=0.0)))
optimizer = dict(lr=0.0)
runner = dict(max_iters=1)
checkpoint_config = dict(interval=1)
evaluation = dict(interval=1)

# More clusters than classes, for a person to name: noise-whitened features, seen in training as in
# tests. The clusters stay those of K-means.
_base_ = './dynaseg_efficientnet-lite0.py'
model = dict(
    neck=dict(
        _delete_=True,
        type='NoiseWhitening',
        in_channels=40 + 112 + 320,
        out_channels=48,
        target=1,
    ),
    decode_head=dict(
        in_channels=48,
        num_classes=44,
        norm_cfg=dict(type='BN', momentum=0.0),
    ),
    train_cfg=dict(as_tested=True),
    test_cfg=dict(refine=dict(subsample=4)),
    feature_cache=dict(folder='work_dirs/features', max_gib=8),
)
custom_hooks = [dict(type='NoiseWhiteningHook'), dict(type='KMeansStartHook', scale=4.0)]

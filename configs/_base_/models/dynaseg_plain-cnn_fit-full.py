# Fitting each image at its own size, as published, in fewer and larger steps.
_base_ = './dynaseg_plain-cnn.py'
model = dict(
    test_cfg=dict(
        fit=dict(
            iterations=30,
            lr=0.2,
            momentum=0.9,
            min_clusters='silhouette',
            bf16=True,
            min_region=2e-5,
        )
    )
)

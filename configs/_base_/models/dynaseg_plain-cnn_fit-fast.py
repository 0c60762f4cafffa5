# Fitting each image in seconds: the iterations see a thumbnail, the fitted network the whole image.
_base_ = './dynaseg_plain-cnn.py'
model = dict(
    test_cfg=dict(
        fit=dict(
            iterations=15,
            lr=0.2,
            momentum=0.9,
            min_clusters='silhouette',
            tol=0.005,
            check_interval=5,
            fit_pixels=10000,
            predict_scale=2.0,
            predict_pixels=1000000,
            bf16=True,
            refine=dict(radius=4, eps=0.01, rounds=2),
            min_region=2e-5,
        )
    )
)

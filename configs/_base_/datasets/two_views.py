# Two views of every image, as MoCo v2's, for mmselfsup.
img_norm_cfg = dict(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
view_pipeline = [
    dict(type='RandomResizedCrop', size=64, scale=(0.2, 1.0)),
    dict(
        type='RandomAppliedTrans',
        transforms=[
            dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
        ],
        p=0.8,
    ),
    dict(type='RandomGrayscale', p=0.2),
    dict(type='GaussianBlur', sigma_min=0.1, sigma_max=2.0, p=0.5),
    dict(type='RandomHorizontalFlip'),
    dict(type='ToTensor'),
    dict(type='Normalize', **img_norm_cfg),
]
data = dict(
    samples_per_gpu=32,
    workers_per_gpu=1,
    drop_last=True,
    train=dict(
        type='MultiViewDataset',
        data_source=dict(
            type='SegmentationImages',
            dataset=dict(type='ImageFolderDataset', img_dir='data/images'),
        ),
        num_views=[2],
        pipelines=[view_pipeline],
    ),
)

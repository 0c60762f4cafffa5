# CamVid: 300 images to train on without labels, 67 to test; see data/README.md for the layout.
_base_ = './whole_images.py'
dataset_type = 'CamVidDataset'
data_root = 'data/camvid'
data = dict(
    samples_per_gpu=8,
    train=dict(type=dataset_type, data_root=data_root, subset='train'),
    val=dict(type=dataset_type, data_root=data_root, subset='val'),
    test=dict(type=dataset_type, data_root=data_root, subset='val'),
)

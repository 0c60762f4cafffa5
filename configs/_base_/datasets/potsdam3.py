# Potsdam with three classes, in IIC's crops of 200 x 200; see data/README.md for the layout.
_base_ = './whole_images.py'
dataset_type = 'Potsdam3Dataset'
data_root = 'data/potsdam'
data = dict(
    samples_per_gpu=16,
    train=dict(type=dataset_type, data_root=data_root, subset='all_train'),
    val=dict(type=dataset_type, data_root=data_root, subset='val'),
    test=dict(type=dataset_type, data_root=data_root, subset='val'),
)

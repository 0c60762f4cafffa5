# The landscapes that tools/make_sample_data.py draws, in the layout of COCO-Stuff.
_base_ = './whole_images.py'
dataset_type = 'CocoStuff27Dataset'
data_root = 'data/sample'
data = dict(
    train=dict(type=dataset_type, data_root=data_root, subset='train2017'),
    val=dict(type=dataset_type, data_root=data_root, subset='val2017'),
    test=dict(type=dataset_type, data_root=data_root, subset='val2017'),
)

# Pascal VOC 2012, evaluated by regions: each object, and the background, is a segment.
_base_ = './crops.py'
dataset_type = 'VOCRegionDataset'
data_root = 'data/VOCdevkit/VOC2012'
train_split = 'ImageSets/Segmentation/train.txt'
val_split = 'ImageSets/Segmentation/val.txt'
data = dict(
    test_dataloader=dict(samples_per_gpu=1),  # images fitted at once; 32 or more fill a GPU
    train=dict(type=dataset_type, data_root=data_root, split=train_split),
    val=dict(type=dataset_type, data_root=data_root, split=val_split),
    test=dict(type=dataset_type, data_root=data_root, split=val_split),
)

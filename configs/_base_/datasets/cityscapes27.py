# Cityscapes with PiCIE's 27 classes, tested on the square in the middle of each image, 320 pixels
# wide; see data/README.md for the layout. PiCIE trains on subset=('test', 'train_extra').
import os

_base_ = './scaled_crops.py'
dataset_type = 'Cityscapes27Dataset'
data_root = 'data/cityscapes'
test = dict(subset='val', evaluation_crop=320)
data = dict(
    samples_per_gpu=16,
    workers_per_gpu=min(4, os.cpu_count() or 1),
    train=dict(type=dataset_type, data_root=data_root, subset='train'),
    val=dict(type=dataset_type, data_root=data_root, **test),
    test=dict(type=dataset_type, data_root=data_root, **test),
)

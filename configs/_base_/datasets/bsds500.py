# BSDS500, segmented and evaluated image by image; see data/README.md for the layout.
_base_ = './crops.py'
dataset_type = 'BSDS500Dataset'
data_root = 'data/bsds500'
train = dict(img_dir='images/train', ann_dir='groundTruth/train')
val = dict(img_dir='images/val', ann_dir='groundTruth/val')
data = dict(
    test_dataloader=dict(samples_per_gpu=1),  # images fitted at once; 32 or more fill a GPU
    train=dict(type=dataset_type, data_root=data_root, **train),
    val=dict(type=dataset_type, data_root=data_root, **val),
    test=dict(type=dataset_type, data_root=data_root, **val),
)

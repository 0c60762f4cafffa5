# Any folder of images with masks of the same names (PNG, class index of each pixel, 255 unlabelled)
# and classes of any names; see docs/own-data.md. Training reads no masks.
_base_ = './image_folder.py'
dataset_type = 'LabelledFolderDataset'
classes = ['class 0', 'class 1', 'class 2', 'class 3']
ann_dir = 'data/masks'
data = dict(
    val=dict(type=dataset_type, ann_dir=ann_dir, classes=classes),
    test=dict(type=dataset_type, ann_dir=ann_dir, classes=classes),
)

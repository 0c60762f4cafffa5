# Any folder of images, without labels: give data.train.img_dir and data.test.img_dir. Train with
# --no-validate, or point data.val to a data set with labels.
_base_ = './scaled_crops.py'
dataset_type = 'ImageFolderDataset'
img_dir = 'data/images'
data = dict(
    workers_per_gpu=2,
    train_dataloader=dict(drop_last=False),  # a folder may hold fewer images than a batch
    test_dataloader=dict(samples_per_gpu=1),  # images fitted at once; 32 or more fill a GPU
    train=dict(type=dataset_type, img_dir=img_dir),
    val=dict(type=dataset_type, img_dir=img_dir),
    test=dict(type=dataset_type, img_dir=img_dir),
)

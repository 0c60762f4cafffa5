# COCO-Stuff-27 in PiCIE's crops: the square in the middle of each image, 320 pixels wide, in
# training and in tests.
_base_ = './coco_stuff27.py'
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='EvaluationCrop', size=320),
    dict(type='RandomFlip', prob=0.5),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img']),
]
data = dict(
    train=dict(pipeline=train_pipeline),
    val=dict(evaluation_crop=320),
    test=dict(evaluation_crop=320),
)

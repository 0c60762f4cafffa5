# COCO-Stuff-27 in STEGO's crops: training on a corner or the middle of an image, half its height
# and width, of which the central square is taken, 224 pixels wide; tests on 320 pixels.
_base_ = './coco_stuff27_picie.py'
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='RandomFiveCrop', ratio=0.5),
    dict(type='EvaluationCrop', size=224),
    dict(type='RandomFlip', prob=0.5),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img']),
]
data = dict(train=dict(pipeline=train_pipeline))

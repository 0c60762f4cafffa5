# What mmselfsup's script requires.
optimizer = dict(type='SGD', lr=0.03, momentum=0.9, weight_decay=1e-4)
optimizer_config = dict()
lr_config = dict(policy='CosineAnnealing', min_lr=0.0)
runner = dict(type='EpochBasedRunner', max_epochs=20)
checkpoint_config = dict(interval=20)
custom_hooks = [dict(type='FullBatchHook')]  # refuses fewer images than a batch
log_config = dict(interval=1, hooks=[dict(type='TextLoggerHook')])
dist_params = dict(backend='nccl')
persistent_workers = True
opencv_num_threads = 0
mp_start_method = 'fork'
log_level = 'INFO'
load_from = None
resume_from = None
workflow = [('train', 1)]

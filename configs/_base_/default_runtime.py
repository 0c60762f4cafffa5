custom_imports = dict(imports=['dynaseg.mmseg'], allow_failed_imports=False)
log_config = dict(interval=10, hooks=[dict(type='TextLoggerHook', by_epoch=False)])
dist_params = dict(backend='nccl')  # without a GPU, gloo is used instead
log_level = 'INFO'
load_from = None
resume_from = None
workflow = [('train', 1)]
cudnn_benchmark = True

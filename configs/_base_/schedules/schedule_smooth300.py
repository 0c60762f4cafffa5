_base_ = './schedule_200.py'
optimizer = dict(_delete_=True, type='Adam', lr=5e-4)
lr_config = dict(_delete_=True, policy='fixed', by_epoch=False)
runner = dict(max_iters=300)
checkpoint_config = dict(interval=30)
evaluation = dict(interval=300)

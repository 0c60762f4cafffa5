_base_ = './schedule_200.py'
runner = dict(max_iters=2000)
checkpoint_config = dict(interval=200)
evaluation = dict(interval=2000)

# Only the initial clusters: one iteration, which changes nothing.
_base_ = './schedule_200.py'
optimizer = dict(lr=0.0)
runner = dict(max_iters=1)
checkpoint_config = dict(interval=1)
evaluation = dict(interval=1)

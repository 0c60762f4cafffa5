"""Short trainings in this process, as the scripts run them."""

import copy
import random

import numpy as np
import torch
from mmcv import Config
from mmcv.runner import HOOKS, Hook
from mmseg.apis import set_random_seed, train_segmentor
from mmseg.datasets import build_dataset
from mmseg.models import build_segmentor
from mmseg.utils import get_root_logger

from dynaseg.mmseg.configs import load_config


class Killed(Exception):  # noqa: N818
    """Ends a training as a signal would, without a word to anybody."""


@HOOKS.register_module(force=True)
class KillHook(Hook):
    def __init__(self, after):
        self.after = after

    def after_train_iter(self, runner):
        if runner.iter + 1 == self.after:
            raise Killed


def tiny_config(name, data_root, work_dir, **changes):
    """A shipped config on little data: six iterations of two images."""
    config = Config(load_config(name)._cfg_dict.to_dict())
    small = {f'data.{part}.data_root': str(data_root) for part in ('train', 'val', 'test')}
    small |= {
        'data.samples_per_gpu': 2,
        'data.workers_per_gpu': 0,
        'runner.max_iters': 6,
        'checkpoint_config.interval': 1,
        'log_config.interval': 1,
        'work_dir': str(work_dir),
        'gpu_ids': [0],
        'seed': 0,
        'device': 'cpu',
    }
    if 'plain-cnn' in str(name):
        small |= {'model.backbone.channels': 8, 'model.decode_head.in_channels': 8}
    config.merge_from_dict(small | changes)
    return config


def train(config, kill_after=None, validate=False, train_seed=0):
    """Train as tools/train.py does; returns the final weights."""
    get_root_logger()  # whom MMSegmentation would ask for a file of the level's name
    config = copy.deepcopy(config)  # which MMSegmentation takes apart
    set_random_seed(train_seed)
    config.seed = train_seed
    model = build_segmentor(config.model)
    model.init_weights()
    dataset = build_dataset(config.data.train)
    hooks = list(config.get('custom_hooks') or [])
    if kill_after is not None:
        hooks.append({'type': 'KillHook', 'after': kill_after, 'priority': 'LOWEST'})
    config.custom_hooks = hooks
    meta = {'seed': train_seed, 'CLASSES': dataset.CLASSES}
    try:
        train_segmentor(model, [dataset], config, validate=validate, timestamp='t', meta=meta)
    except Killed:
        return None
    return {name: value.clone() for name, value in model.state_dict().items()}


def scramble():
    """Leave the generators of random numbers in some other state."""
    random.seed(99)
    np.random.seed(99)
    torch.manual_seed(99)

import os
import resource
import signal

import mmcv
import numpy as np
import pytest
import torch
from mmcv import Config
from mmcv.runner import IterBasedRunner

from dynaseg.mmseg.configs import load_config
from dynaseg.mmseg.errors import UserError
from dynaseg.mmseg.resume import find_latest_checkpoint, is_whole
from tests.mmseg.training import scramble, tiny_config, train

PLAIN = 'fsf_plain-cnn_100_sample.py'
KMEANS = 'fsf_efficientnet-lite0_200_sample.py'
# A backbone with random numbers of its own, besides those of the augmentations.
DROPOUT = {
    'model.decode_head.init_cfg': None,
    'model.backbone': {'type': 'PlainCNN', 'channels': 8, 'num_blocks': 1},
}


def assert_equal(weights, others):
    assert weights.keys() == others.keys()
    for name, value in weights.items():
        assert torch.equal(value, others[name]), name


@pytest.mark.parametrize(
    ('name', 'workers', 'how'),
    [(PLAIN, 0, 'resume_from'), (PLAIN, 2, 'auto_resume'), (KMEANS, 1, 'resume_from')],
)
def test_a_training_that_goes_on_ends_as_if_it_had_not_stopped(
    tmp_path, sample_data, name, workers, how
):
    changes = {'data.workers_per_gpu': workers}
    whole = train(tiny_config(name, sample_data, tmp_path / 'whole', **changes))
    for killed_after in (1, 3):  # in the middle of an epoch and after one
        folder = tmp_path / f'killed_{killed_after}'
        assert train(tiny_config(name, sample_data, folder, **changes), killed_after) is None
        scramble()
        config = tiny_config(name, sample_data, folder, **changes)
        config[how] = str(folder / 'latest.pth') if how == 'resume_from' else True
        assert_equal(train(config, train_seed=7), whole)  # the seed is the checkpoint's

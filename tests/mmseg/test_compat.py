import pickle

import mmcv.engine
import mmseg.apis.test
import numpy as np
import pytest
import torch
import torch.distributed as dist
from mmcv.parallel import MMDataParallel

from dynaseg.mmseg import compat


@pytest.mark.parametrize(
    'score', [np.float64(0.5), np.float32(0.5), np.int64(3), np.bool_(True)], ids=repr
)
def test_checkpoints_with_numpy_scalars_load_safely(tmp_path, score):
    path = tmp_path / 'best.pth'
    torch.save({'meta': {'best_score': score}}, path)
    assert torch.load(path, weights_only=True)['meta']['best_score'] == score


def test_other_code_in_checkpoints_is_still_refused(tmp_path):
    path = tmp_path / 'bad.pth'
    torch.save({'meta': MMDataParallel}, path)
    with pytest.raises(pickle.UnpicklingError, match='MMDataParallel'):
        torch.load(path, weights_only=True)


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        (['config.py', '--local-rank=1'], ['config.py', '--local_rank=1']),
        (['config.py', '--local-rank', '1'], ['config.py', '--local_rank', '1']),
        (['--device', 'cpu', 'config.py'], ['config.py']),
        (['config.py', '--seed', '0'], ['config.py', '--seed', '0']),
    ],
)
def test_arguments_are_translated(given, expected):
    assert compat.translate_arguments(given) == expected


def test_applying_the_repairs_again_changes_nothing():
    before = (mmcv.engine.collect_results_cpu, mmseg.apis.test.collect_results_cpu)
    compat.apply()
    assert (mmcv.engine.collect_results_cpu, mmseg.apis.test.collect_results_cpu) == before


def test_interleaved_parts_come_back_in_order(monkeypatch):
    parts = [[0, 2, 4], [1, 3, 0]]  # five results of two processes; the sampler padded the last

    def gather(gathered, own):
        gathered[:] = parts

    monkeypatch.setattr(dist, 'get_world_size', lambda: 2)
    monkeypatch.setattr(dist, 'get_rank', lambda: 0)
    monkeypatch.setattr(dist, 'all_gather_object', gather)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert compat.collect_results(parts[0], 5) == [0, 1, 2, 3, 4]
    monkeypatch.setattr(dist, 'get_rank', lambda: 1)
    assert compat.collect_results(parts[1], 5) is None

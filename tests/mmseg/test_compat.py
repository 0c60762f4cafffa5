import os
import pickle
import subprocess
import sys
from types import SimpleNamespace

import mmcv
import mmcv.engine
import mmseg.apis.test
import mmseg.apis.train
import mmseg.datasets
import numpy as np
import pytest
import torch
import torch.distributed as dist
from mmcv.parallel import MMDataParallel
from mmseg.datasets import build_dataloader, build_dataset

from dynaseg.io.reading import ImageReadError
from dynaseg.mmseg import compat
from dynaseg.mmseg.build import build_segmentor_from
from dynaseg.mmseg.configs import load_config
from dynaseg.mmseg.errors import UserError


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
        (['config.py', '--gpus', '1', '--seed', '0'], ['config.py', '--seed', '0']),
        (['config.py', '--gpus', '2'], ['config.py', '--gpus', '2']),
        (['config.py', '--gpus'], ['config.py', '--gpus']),
        (['config.py', '--device=cpu', '--gpus=1'], ['config.py']),
        (['config.py', '--gpus=2'], ['config.py', '--gpus', '2']),
    ],
)
def test_arguments_are_translated(given, expected):
    assert compat.translate_arguments(given) == expected


def test_git_says_nothing_outside_of_a_repository(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert mmcv.utils.get_git_hash() == ''
    assert capfd.readouterr().err == ''


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


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (None, r"error: no config '.*mine\.py'"),
        ('model = dict(', r'error: .*mine\.py is not a valid config'),
        ("custom_imports = dict(imports='dynaseg')\nmodel = dict()", r"write 'dynaseg\.mmseg'"),
    ],
)
def test_scripts_say_in_a_line_what_is_wrong_with_a_config(tmp_path, monkeypatch, content, message):
    path = tmp_path / 'mine.py'
    if content is not None:
        path.write_text(content)
    monkeypatch.setattr('sys.argv', ['train.py', '--seed', '0', str(path)])
    with pytest.raises(SystemExit, match=message) as stop:
        compat.run_mmseg_script('train.py')
    assert '\n' not in stop.value.code


QUIET = """
import sys, warnings
import dynaseg.mmseg
warnings.warn('On January 1, 2023, MMCV will release v2.0.0', UserWarning)
warnings.warn('SyncBN is only supported with DDP. To be compatible with DP', UserWarning)
warnings.warn('this is the business of the user', UserWarning)
"""


def test_libraries_are_quiet_and_real_warnings_are_kept():
    environment = {**os.environ, 'CUDA_VISIBLE_DEVICES': ''}
    done = subprocess.run(
        [sys.executable, '-c', QUIET], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ''
    lines = done.stderr.splitlines()
    assert [line for line in lines if 'Warning' in line] == [
        '<string>:6: UserWarning: this is the business of the user'
    ]


@pytest.mark.parametrize('name', ['fsf_plain-cnn_fit-fast_folder.py', 'segment.py'])
def test_what_a_test_finds_is_drawn(tmp_path, name):
    photo = np.random.default_rng(0).integers(0, 256, (24, 36, 3), dtype=np.uint8)
    (tmp_path / 'photos').mkdir()
    mmcv.imwrite(photo, str(tmp_path / 'photos' / 'a.png'))
    config = load_config(name)
    dataset = build_dataset({**config.data.test, 'img_dir': str(tmp_path / 'photos')})
    loader = build_dataloader(dataset, 1, 1, dist=False, shuffle=False)
    model = build_segmentor_from(config, device='cpu')
    model.CLASSES, model.PALETTE = dataset.CLASSES, dataset.PALETTE  # as the script sets them
    mmseg.apis.test.single_gpu_test(
        MMDataParallel(model, device_ids=[-1]), loader, out_dir=str(tmp_path / 'drawn'), opacity=0.5
    )
    drawn = mmcv.imread(str(tmp_path / 'drawn' / 'a.png'))
    assert drawn.shape == photo.shape
    assert not np.array_equal(drawn, photo)


@pytest.mark.parametrize(
    ('error', 'message'),
    [
        (
            UserError('iteration 3 of 6: loss_con is nan'),
            '^error: iteration 3 of 6: loss_con is nan$',
        ),
        (ImageReadError('a.png', 'damaged'), '^error: a.png: damaged$'),
    ],
)
def test_scripts_say_in_a_line_what_the_user_can_mend(monkeypatch, error, message):
    def fail(*args, **kwargs):
        raise error

    config = 'fsf_plain-cnn_100_sample.py'
    script = {'parse_args': lambda: SimpleNamespace(config=config), 'main': fail}
    monkeypatch.setattr(compat.runpy, 'run_path', lambda path: script)
    monkeypatch.setattr('dynaseg.mmseg.checks.run.check_command', lambda *arguments: None)
    for module in (mmseg.datasets, mmseg.apis.train):  # which scripts change for good
        monkeypatch.setattr(module, 'build_dataset', mmseg.datasets.build_dataset)
    monkeypatch.setattr('sys.argv', ['train.py', config])
    with pytest.raises(SystemExit, match=message):
        compat.run_mmseg_script('train.py')


@pytest.mark.parametrize(
    ('options', 'expected'),
    [(None, 'label maps are in .format_cityscapes'), ({'imgfile_prefix': 'maps'}, 'are in maps')],
)
def test_tests_say_where_label_maps_are(monkeypatch, capsys, options, expected):
    config = 'fsf_plain-cnn_100_sample.py'
    arguments = SimpleNamespace(config=config, format_only=True, eval_options=options)
    script = {'parse_args': lambda: arguments, 'main': lambda: None}
    monkeypatch.setattr(compat.runpy, 'run_path', lambda path: script)
    monkeypatch.setattr('dynaseg.mmseg.checks.run.check_command', lambda *arguments: None)
    monkeypatch.setattr(compat, 'print_log', lambda message, logger: print(message))
    for module in (mmseg.datasets, mmseg.apis.train):  # which scripts change for good
        monkeypatch.setattr(module, 'build_dataset', mmseg.datasets.build_dataset)
    monkeypatch.setattr('sys.argv', ['test.py', config])
    compat.run_mmseg_script('test.py')
    assert expected in capsys.readouterr().out


def test_what_a_data_set_refuses_is_the_users_to_mend(tmp_path):
    config = {'type': 'ImageFolderDataset', 'pipeline': [], 'img_dir': str(tmp_path)}
    with pytest.raises(UserError, match='holds no images'):
        compat.build_dataset(config)
    with pytest.raises(KeyError, match='NoSuchStep'):  # which is no fault of the data
        compat.build_dataset({**config, 'pipeline': [{'type': 'NoSuchStep'}]})

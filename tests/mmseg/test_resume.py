import os
import subprocess
import sys

import mmcv
import pytest
import torch
from mmcv.runner import HOOKS, Hook
from mmseg.utils import get_root_logger
from short_training import scramble, tiny_config, train

from dynaseg.io.files import is_whole
from dynaseg.mmseg import resume, training_data
from dynaseg.mmseg.configs import find_config
from dynaseg.mmseg.errors import UserError
from dynaseg.mmseg.resume import find_latest_checkpoint
from dynaseg.mmseg.training_data import TrainingSampler

PLAIN = 'fsf_plain-cnn_100_sample.py'
KMEANS = 'fsf_efficientnet-lite0_200_sample.py'


@HOOKS.register_module(force=True)
class DrawHook(Hook):
    """Draws a random number on the weights, as dropout would."""

    def before_train_iter(self, runner):
        self.drawn = torch.rand(1)

    def after_train_iter(self, runner):
        with torch.no_grad():
            runner.model.module.decode_head.conv_seg.bias.add_(torch.rand(1))


def assert_equal(weights, others):
    assert weights.keys() == others.keys()
    for name, value in weights.items():
        assert torch.equal(value, others[name]), name


@pytest.mark.parametrize(
    ('name', 'workers', 'how', 'moments'),
    [(PLAIN, 0, 'resume_from', (1, 3)), (PLAIN, 2, 'auto_resume', (4,)), (KMEANS, 0, 'auto', (1,))],
)
def test_a_training_that_goes_on_ends_as_if_it_had_not_stopped(
    tmp_path, sample_data, name, workers, how, moments
):
    changes = {'data.workers_per_gpu': workers, 'custom_hooks': [{'type': 'DrawHook'}]}
    if name == KMEANS:
        start = {'type': 'KMeansStartHook', 'num_images': 4, 'pixels_per_image': 8}
        changes |= {'custom_hooks': [start], 'runner.max_iters': 3}
    whole = train(tiny_config(name, sample_data, tmp_path / 'whole', **changes))
    for moment in moments:  # in the middle of an epoch of two batches, and at its end
        folder = tmp_path / f'killed_{moment}'
        assert train(tiny_config(name, sample_data, folder, **changes), moment) is None
        scramble()
        config = tiny_config(name, sample_data, folder, **changes)
        if how == 'resume_from':
            config.resume_from = str(folder / 'latest.pth')
        else:
            config.auto_resume = True
        assert_equal(train(config, train_seed=7), whole)  # the seed is the checkpoint's


def test_other_seeds_give_other_trainings(tmp_path, sample_data):
    # Batch 2 of 4 images: were it not for the order, every epoch would see the same batches.
    changes = {'runner.max_iters': 2}
    one, two = (
        train(tiny_config(PLAIN, sample_data, tmp_path / str(seed), **changes), train_seed=seed)
        for seed in (0, 1)
    )
    assert not torch.equal(one['decode_head.conv_seg.weight'], two['decode_head.conv_seg.weight'])


def test_the_best_score_is_remembered(tmp_path, sample_data):
    changes = {'evaluation.interval': 1, 'evaluation.save_best': 'mIoU', 'runner.max_iters': 3}
    train(tiny_config(PLAIN, sample_data, tmp_path, **changes), kill_after=2, validate=True)
    kept = torch.load(tmp_path / 'latest.pth', weights_only=True)['meta']['hook_msgs']
    assert kept['best_score'] > 0  # the checkpoint comes after the evaluation
    config = tiny_config(PLAIN, sample_data, tmp_path, **changes)
    config.auto_resume = True
    train(config, validate=True)
    final = torch.load(tmp_path / 'latest.pth', weights_only=True)['meta']['hook_msgs']
    assert final['best_score'] >= kept['best_score']
    assert len(list(tmp_path.glob('best_*.pth'))) == 1


def test_kmeans_leaves_loaded_weights_alone(tmp_path, sample_data):
    changes = {'runner.max_iters': 1, 'optimizer.lr': 0.0}
    start = {'custom_hooks': [{'type': 'KMeansStartHook', 'num_images': 2}]}
    weights = train(tiny_config(PLAIN, sample_data, tmp_path / 'one', **changes))
    config = tiny_config(PLAIN, sample_data, tmp_path / 'two', **changes, **start)
    config.load_from = str(tmp_path / 'one' / 'latest.pth')
    name = 'decode_head.conv_seg.weight'
    assert torch.equal(train(config, train_seed=1)[name], weights[name])
    config = tiny_config(PLAIN, sample_data, tmp_path / 'three', **changes, **start)
    assert not torch.equal(train(config)[name], weights[name])


def test_kmeans_replaces_fresh_weights(tmp_path, sample_data):
    changes = {'runner.max_iters': 1, 'optimizer.lr': 0.0, 'load_from': 'scratch://5'}
    start = {'custom_hooks': [{'type': 'KMeansStartHook', 'num_images': 2}]}
    fresh = train(tiny_config(PLAIN, sample_data, tmp_path / 'one', **changes))
    started = train(tiny_config(PLAIN, sample_data, tmp_path / 'two', **changes, **start))
    name = 'decode_head.conv_seg.weight'
    assert not torch.equal(started[name], fresh[name])
    name = 'backbone.blocks.0.0.weight'
    assert torch.equal(started[name], fresh[name])


def make_checkpoints(folder, *iterations):
    for number in iterations:
        torch.save({'meta': {'iter': number - 1}}, folder / f'iter_{number}.pth')
    return [folder / f'iter_{number}.pth' for number in iterations]


@pytest.mark.parametrize('damage', ['truncated', 'empty', 'flipped', 'absent'])
def test_the_newest_whole_checkpoint_takes_the_place_of_a_damaged_one(tmp_path, caplog, damage):
    _, whole, newest = make_checkpoints(tmp_path, 9, 10, 11)
    (tmp_path / 'latest.pth').symlink_to('iter_11.pth')
    torch.save({}, tmp_path / 'best_mIoU_iter_12.pth')
    assert find_latest_checkpoint(tmp_path) == str(tmp_path / 'latest.pth')
    content = bytearray(newest.read_bytes())
    if damage == 'absent':
        newest.unlink()
    elif damage == 'flipped':
        content[content.index(b'meta')] ^= 1
        newest.write_bytes(content)
    else:
        os.truncate(newest, len(content) // 2 if damage == 'truncated' else 0)
    assert find_latest_checkpoint(tmp_path) == str(whole)


def test_a_folder_without_checkpoints_is_no_error(tmp_path):
    assert find_latest_checkpoint(tmp_path) is None
    assert find_latest_checkpoint(tmp_path / 'absent') is None
    (tmp_path / 'iter_1.pth').write_bytes(b'')
    assert find_latest_checkpoint(tmp_path) is None


def test_a_damaged_latest_is_passed_over_by_resume_from(tmp_path, sample_data):
    changes = {'runner.max_iters': 3}
    whole = train(tiny_config(PLAIN, sample_data, tmp_path, **changes))
    os.truncate(tmp_path / 'iter_3.pth', 1000)
    config = tiny_config(PLAIN, sample_data, tmp_path, **changes)
    config.resume_from = str(tmp_path / 'latest.pth')
    assert_equal(train(config), whole)
    assert is_whole(tmp_path / 'iter_3.pth')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (None, 'no checkpoint .*mine.pth to resume from'),
        (b'', 'mine.pth: cannot be resumed from'),
        ({'state_dict': {}}, 'mine.pth: cannot be resumed from: .*another network'),
        ('weights', 'mine.pth: cannot be resumed from: only weights; .*--load-from'),
    ],
)
def test_what_cannot_be_resumed_from_is_named(tmp_path, sample_data, content, message):
    path = tmp_path / 'mine.pth'
    changes = {'runner.max_iters': 1}
    if content == 'weights':
        weights = train(tiny_config(PLAIN, sample_data, tmp_path / 'one', **changes))
        torch.save({'state_dict': weights}, path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    config = tiny_config(PLAIN, sample_data, tmp_path / 'two', **changes)
    config.resume_from = str(path)
    with pytest.raises(UserError, match=f'(?s){message}'):
        train(config)


def test_a_checkpoint_with_a_changed_bit_is_not_resumed_from(tmp_path, sample_data):
    train(tiny_config(PLAIN, sample_data, tmp_path / 'one', **{'runner.max_iters': 1}))
    content = bytearray((tmp_path / 'one' / 'iter_1.pth').read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / 'mine.pth').write_bytes(content)
    config = tiny_config(PLAIN, sample_data, tmp_path / 'two', **{'runner.max_iters': 2})
    config.resume_from = str(tmp_path / 'mine.pth')
    with pytest.raises(UserError, match=r'mine\.pth: cannot be resumed from: it is damaged'):
        train(config)


def test_a_schedule_of_the_momentum_goes_on(tmp_path, sample_data):
    momentum = {'policy': 'step', 'step': [2], 'gamma': 0.5, 'by_epoch': False}
    changes = {'momentum_config': momentum}
    whole = train(tiny_config(PLAIN, sample_data, tmp_path / 'whole', **changes))
    train(tiny_config(PLAIN, sample_data, tmp_path, **changes), kill_after=3)
    config = tiny_config(PLAIN, sample_data, tmp_path, **changes)
    config.resume_from = str(tmp_path / 'latest.pth')
    assert_equal(train(config), whole)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'_delete_': True, 'type': 'Adam', 'lr': 0.01}, 'its dampening, .*momentum'),
        (
            {'paramwise_cfg': {'custom_keys': {'head': {'lr_mult': 10}}}},
            '1 groups of parameters, and this one 12',
        ),
    ],
)
def test_another_optimizer_is_not_resumed(tmp_path, sample_data, change, message):
    train(tiny_config(PLAIN, sample_data, tmp_path, **{'runner.max_iters': 1}))
    config = tiny_config(PLAIN, sample_data, tmp_path, **{'runner.max_iters': 2})
    config.merge_from_dict({'optimizer': change})
    config.resume_from = str(tmp_path / 'iter_1.pth')
    with pytest.raises(UserError, match=f'iter_1.pth: .*{message}.*--load-from'):
        train(config)


WRITE_ON_A_FULL_DISK = """
import resource, signal, sys
from mmcv.fileio import FileClient
import dynaseg.mmseg
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    FileClient.infer_client(uri=sys.argv[1]).put(bytes(2000), sys.argv[1])
except OSError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path):
    path = tmp_path / 'iter_1.pth'
    path.write_bytes(b'before')
    done = subprocess.run(
        [sys.executable, '-c', WRITE_ON_A_FULL_DISK, str(path)], capture_output=True, text=True
    )
    assert str(path) in done.stdout, done.stderr
    assert path.read_bytes() == b'before'
    assert list(tmp_path.iterdir()) == [path]


def test_links_take_the_place_of_others_at_once(tmp_path, monkeypatch):
    (tmp_path / 'latest.pth').symlink_to('iter_1.pth')

    def fail(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, 'replace', fail)
        with pytest.raises(KeyboardInterrupt):
            mmcv.symlink('iter_2.pth', tmp_path / 'latest.pth')
    assert os.readlink(tmp_path / 'latest.pth') == 'iter_1.pth'
    mmcv.symlink('iter_2.pth', tmp_path / 'latest.pth')
    assert os.readlink(tmp_path / 'latest.pth') == 'iter_2.pth'
    assert len(list(tmp_path.iterdir())) == 1


SCHEDULES = find_config(PLAIN).parents[1] / '_base_' / 'schedules'


@pytest.mark.parametrize('path', sorted(SCHEDULES.glob('*.py')), ids=lambda path: path.stem)
def test_schedules_save_ten_times_and_keep_three(path):
    config = mmcv.Config.fromfile(path)
    iterations = config.runner.max_iters
    assert iterations // config.checkpoint_config.interval >= min(10, iterations)
    assert config.checkpoint_config.max_keep_ckpts == 3


@pytest.mark.parametrize(('name', 'warned'), [('fsf_r18-fpn_100_sample.py', True), (PLAIN, False)])
def test_random_weights_are_told_in_the_log(tmp_path, sample_data, name, warned, caplog):
    get_root_logger().propagate = True
    changes = {'runner.max_iters': 1, 'model.backbone.init_cfg': None, 'model.pretrained': None}
    if name == PLAIN:
        changes = {'runner.max_iters': 1}
    train(tiny_config(name, sample_data, tmp_path, **changes))
    said = [record.getMessage() for record in caplog.records if record.levelname == 'WARNING']
    text = 'model.backbone: ResNet starts from random weights'
    assert any(line.startswith(text) for line in said) == warned


def test_processes_with_seeds_of_their_own_draw_from_that_of_the_first(
    tmp_path, sample_data, monkeypatch
):
    seeds = []
    go_to = TrainingSampler.go_to

    def record(sampler, batch, seed):
        seeds.append(seed)
        go_to(sampler, batch, seed)

    monkeypatch.setattr(TrainingSampler, 'go_to', record)
    for module in (resume, training_data):  # as a second process hears it from the first
        monkeypatch.setattr(module, 'sync_random_seed', lambda seed, device: 3)
    train(tiny_config(PLAIN, sample_data, tmp_path, **{'runner.max_iters': 1}), train_seed=4)
    assert seeds == [3]

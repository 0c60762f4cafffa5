"""The commands as a user types them, on a small data set; each runs for seconds."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

BIN = Path(sys.executable).parent
PARTS = ('train', 'val', 'test')


@pytest.fixture(scope='module')
def folder(tmp_path_factory, load_tool):
    """A working folder with the sample data."""
    folder = tmp_path_factory.mktemp('commands')
    load_tool('make_sample_data').make_sample_data(folder / 'sample', 4, 3, (48, 40), seed=0)
    return folder


@pytest.fixture(scope='module')
def config(folder):
    """A config of one's own over a shipped one, in the working folder."""
    path = folder / 'own.py'
    path.write_text(
        'from dynaseg.mmseg.configs import find_config\n\n'
        "_base_ = str(find_config('fsf_plain-cnn_100_sample.py'))\n"
    )
    return path


@pytest.fixture(scope='module')
def options(folder):
    """Arguments that make a run on the sample data short."""
    changes = [f'data.{part}.data_root={folder / "sample"}' for part in PARTS]
    changes += ['data.samples_per_gpu=2', 'runner.max_iters=4']
    changes += ['evaluation.interval=2', 'evaluation.save_best=mIoU', 'log_config.interval=1']
    changes += ['model.backbone.channels=16', 'model.decode_head.in_channels=16']
    return ['--cfg-options', *changes]


@pytest.fixture(scope='module')
def run(folder):
    """Runs a command in the working folder and returns what it printed."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        'PATH': f'{BIN}{os.pathsep}{os.environ["PATH"]}',
        'CUDA_VISIBLE_DEVICES': '',
        'OMP_NUM_THREADS': '1',
        'PORT': str(port),
    }

    def call(*command):
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return call


def launcher(kind, root, step):
    """The beginning of a command; the config follows."""
    return {
        'script': ['python', root / 'tools' / f'{step}.py'],
        'mmsegmentation': ['mim', step, 'mmsegmentation'],
        'dynaseg': ['mim', step, 'dynaseg'],
    }[kind]


def log_lines(work_dir):
    (log,) = work_dir.glob('*.log.json')
    return [json.loads(line) for line in log.read_text().splitlines()][1:]


def evaluated(work_dir):
    (report,) = work_dir.glob('eval_single_scale_*.json')
    return json.loads(report.read_text())['metric']


@pytest.fixture(scope='module')
def trained(run, folder, root, config, options):
    """The work folder of a training by tools/train.py."""
    work_dir = folder / 'trained'
    run(*launcher('script', root, 'train'), config, '--work-dir', work_dir, '--seed', 0, *options)
    return work_dir


@pytest.fixture(scope='module')
def best(trained):
    (checkpoint,) = trained.glob('best_mIoU_iter_*.pth')
    return checkpoint


@pytest.fixture(scope='module')
def figures(run, folder, root, config, options, best):
    """What tools/test.py reports of the best checkpoint."""
    work_dir = folder / 'tested'
    arguments = ['--eval', 'mIoU', '--work-dir', work_dir, *options]
    run(*launcher('script', root, 'test'), config, best, *arguments)
    return evaluated(work_dir)


def test_training_logs_the_parts_of_the_loss_and_evaluates(trained):
    lines = log_lines(trained)
    training = [line for line in lines if line['mode'] == 'train']
    assert [line['iter'] for line in training] == [1, 2, 3, 4]
    for line in training:
        assert line['loss'] == pytest.approx(line['loss_sim'] + line['loss_con'], abs=2e-4)
        assert line['weight'] == pytest.approx(line['num_clusters'] / 15, abs=1e-4)
    assert [0 < line['mIoU'] <= 1 for line in lines if line['mode'] == 'val'] == [True, True]


def test_the_best_checkpoint_loads_without_code(best):
    checkpoint = torch.load(best, weights_only=True)
    assert checkpoint['meta']['hook_msgs']['best_score'] > 0


def test_the_test_agrees_with_the_evaluation_while_training(trained, figures):
    scores = [line['mIoU'] for line in log_lines(trained) if line['mode'] == 'val']
    assert figures['mIoU'] == pytest.approx(max(scores), abs=1e-4)


@pytest.mark.parametrize(('package', 'gpus'), [('mmsegmentation', 1), ('dynaseg', 0)])
def test_mim_trains_as_the_script_does(run, folder, root, config, options, trained, package, gpus):
    work_dir = folder / f'{package}_{gpus}'
    arguments = ['--gpus', gpus, '--work-dir', work_dir, '--seed', 0, *options]
    run(*launcher(package, root, 'train'), config, *arguments)
    timed = {'time', 'data_time'}
    kept = [{k: v for k, v in line.items() if k not in timed} for line in log_lines(work_dir)]
    assert kept == [
        {k: v for k, v in line.items() if k not in timed} for line in log_lines(trained)
    ]
    assert (work_dir / 'latest.pth').exists() or list(work_dir.glob('best_*.pth'))


@pytest.mark.parametrize('package', ['mmsegmentation', 'dynaseg'])
def test_mim_tests_as_the_script_does(run, folder, root, config, options, best, figures, package):
    work_dir = folder / f'tested_{package}'
    arguments = ['--checkpoint', best, '--gpus', 1, '--eval', 'mIoU', '--work-dir', work_dir]
    run(*launcher(package, root, 'test'), config, *arguments, *options)
    assert evaluated(work_dir) == pytest.approx(figures, nan_ok=True)


def test_two_processes_train(run, folder, root, options):
    # DDP must know that the head reads one output of the FPN: iteration 2 fails otherwise.
    config = root / 'configs' / 'dynaseg' / 'fsf_r18-fpn_100_sample.py'
    changes = [change for change in options if not change.startswith('model.')]
    changes += ['model.decode_head.num_classes=5']
    work_dir = folder / 'trained_by_two'
    arguments = ['--work-dir', work_dir, '--seed', 0, *changes]
    printed = run('bash', root / 'tools' / 'dist_train.sh', config, 2, *arguments)
    assert 'Distributed training: True' in printed
    lines = log_lines(work_dir)
    training = [line for line in lines if line['mode'] == 'train']
    assert len(training) == 4
    assert all(1 < line['num_clusters'] <= 5 for line in training)
    (best,) = work_dir.glob('best_mIoU_iter_*.pth')
    best_while_training = max(line['mIoU'] for line in lines if line['mode'] == 'val')
    tested = folder / 'tested_after_two'
    arguments = ['--eval', 'mIoU', '--work-dir', tested, *changes]
    run(*launcher('script', root, 'test'), config, best, *arguments)
    assert evaluated(tested)['mIoU'] == pytest.approx(best_while_training, abs=1e-4)


def test_fresh_weights_are_tested_without_a_file(run, folder, root, config, options, figures):
    arguments = ['--eval', 'mIoU', '--work-dir', folder / 'fresh', *options]
    run(*launcher('script', root, 'test'), config, 'scratch://1', *arguments)
    fresh = evaluated(folder / 'fresh')
    assert set(fresh) == set(figures)
    assert 0 < fresh['mIoU'] < 1


@pytest.fixture(scope='module')
def regions(folder):
    """Five photographs of two sizes with their segments, in BSDS500's layout."""
    root = folder / 'bsds500'
    for kind in ('images', 'groundTruth'):
        (root / kind / 'val').mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(5):
        segments = rng.integers(0, 4, (4, 5 + number % 2)).repeat(6, axis=0).repeat(6, axis=1)
        photo = rng.integers(0, 256, (4, 3))[segments] + rng.integers(-20, 20, (*segments.shape, 3))
        photo = Image.fromarray(photo.clip(0, 255).astype(np.uint8))
        photo.save(root / f'images/val/{number}.jpg')
        cell = np.empty((1, 1), dtype=object)
        cell[0, 0] = {'Segmentation': (segments + 1).astype(np.uint16)}
        savemat(root / f'groundTruth/val/{number}.mat', {'groundTruth': cell})
    return root


def test_fitted_images_do_not_depend_on_batches_or_processes(run, folder, root, regions):
    config = root / 'configs' / 'dynaseg' / 'fsf_plain-cnn_fit-fast_bsds500.py'
    options = ['--cfg-options', f'data.test.data_root={regions}', 'model.test_cfg.fit.iterations=6']

    def test(name, *command, batch):
        work_dir = folder / f'fitted_{name}'
        arguments = ['--eval', 'mIoU', '--work-dir', work_dir, *options]
        run(*command, *arguments, f'data.test_dataloader.samples_per_gpu={batch}')
        return evaluated(work_dir)

    by_two = ['bash', root / 'tools' / 'dist_test.sh', config, 'scratch://', 2]
    report = test('by_two', *by_two, batch=1)
    assert 0.2 < report['mIoU'] < 1
    script = [*launcher('script', root, 'test'), config, 'scratch://']
    assert test('in_batches', *script, batch=3) == report


@pytest.mark.parametrize(
    'script', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh']
)
def test_launchers_say_how_they_are_used(root, script):
    done = subprocess.run(['bash', root / 'tools' / script], capture_output=True, text=True)
    assert done.returncode == 2
    assert re.match(rf'usage: .*{script} ', done.stderr)

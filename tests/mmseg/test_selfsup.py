import subprocess
import sys
from pathlib import Path

import mmselfsup
import numpy as np
import pytest
import torch
from mmcv import Config
from mmcv.parallel import MMDataParallel
from mmcv.runner import EpochBasedRunner
from mmcv.utils import get_logger
from mmseg.models import build_segmentor
from mmselfsup.datasets import build_dataset
from mmselfsup.models import build_algorithm
from PIL import Image
from torch.utils.data import DataLoader

from dynaseg.mmseg.configs import find_config, load_config
from dynaseg.mmseg.errors import UserError

SCRIPT = Path(mmselfsup.__file__).parent / '.mim' / 'tools' / 'train.py'


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    """A folder of six images."""
    folder = tmp_path_factory.mktemp('images')
    rng = np.random.default_rng(0)
    for index in range(6):
        pixels = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f'{index}.png')
    return folder


@pytest.fixture(scope='module')
def checkpoint(images, tmp_path_factory):
    """The checkpoint of a training of two iterations by mmselfsup's own script."""
    work = tmp_path_factory.mktemp('work')
    options = {
        'data.train.data_source.dataset.img_dir': images,
        'data.samples_per_gpu': 2,
        'data.workers_per_gpu': 0,
        'persistent_workers': False,
        'model.queue_len': 4,
        'runner.type': 'IterBasedRunner',
        'runner.max_epochs': None,
        'runner.max_iters': 2,
        'checkpoint_config.by_epoch': False,
        'checkpoint_config.interval': 2,
    }
    config = find_config('selfsup/densecl_r18_20e_folder.py')
    command = [sys.executable, SCRIPT, config, '--work-dir', work, '--gpus', '1', '--seed', '0']
    options = [f'{key}={value}' for key, value in options.items()]
    done = subprocess.run(
        list(map(str, [*command, '--cfg-options', *options])), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return work / 'latest.pth'


def test_a_data_source_has_the_images_of_a_data_set(images):
    config = Config.fromfile(str(find_config('selfsup/densecl_r18_20e_folder.py')))
    config.data.train.data_source.dataset.img_dir = str(images)
    dataset = build_dataset(config.data.train)
    assert len(dataset) == 6
    expected = np.asarray(Image.open(images / '2.png'))
    np.testing.assert_array_equal(dataset.data_source.get_img(2), expected)
    views = dataset[2]['img']
    assert [view.shape for view in views] == [(3, 64, 64)] * 2
    assert not torch.equal(*views)


@pytest.mark.parametrize('kind', ['mmselfsup.DenseCL', 'mmselfsup.MoCo'])
def test_momentum_contrast_trains_in_one_process(kind):
    config = Config.fromfile(str(find_config('selfsup/densecl_r18_20e_folder.py')))
    config.model.update(type=kind, queue_len=4)
    if kind.endswith('MoCo'):
        config.model.pop('loss_lambda')
        config.model.neck.pop('num_grid')
        config.model.neck.type = 'MoCoV2Neck'
    model = build_algorithm(config.model)
    model.init_weights()
    queue = model.queue.clone()
    losses = model(img=[torch.randn(2, 3, 64, 64) for _ in range(2)], mode='train')
    loss, _ = model._parse_losses(losses)
    loss.backward()
    assert loss > 0
    assert model.backbone.conv1.weight.grad.abs().sum() > 0
    assert not torch.equal(model.queue[:, :2], queue[:, :2])
    torch.testing.assert_close(model.queue[:, 2:], queue[:, 2:])


@pytest.mark.parametrize(('size', 'refused'), [(6, False), (8, True)])
def test_fewer_images_than_a_batch_are_refused(size, refused, tmp_path):
    config = Config.fromfile(str(find_config('selfsup/densecl_r18_20e_folder.py')))
    parts = {
        'model': MMDataParallel(torch.nn.Linear(1, 1), device_ids=[]),
        'logger': get_logger('test'),
        'batch_processor': lambda model, data, train_mode: {'num_samples': len(data)},
    }
    runner = EpochBasedRunner(**parts, work_dir=str(tmp_path), max_epochs=1)
    runner.register_hook_from_cfg(config.custom_hooks[0])
    loader = DataLoader(range(6), batch_size=size, drop_last=True)
    if not refused:
        runner.run([loader], [('train', 1)])
        return
    with pytest.raises(UserError, match=r'6 images do not fill a batch of 8.*data.samples_per_gpu'):
        runner.run([loader], [('train', 1)])


@pytest.mark.parametrize('name', ['camvid', 'folder', 'sample'])
def test_every_weight_of_a_checkpoint_is_that_of_the_backbone(checkpoint, name):
    config = load_config(f'fsf_r18-densecl_200_{name}.py')
    assert config.model.backbone.init_cfg.checkpoint == (
        f'work_dirs/densecl_r18_20e_{name}/latest.pth'
    )
    config.model.backbone.init_cfg.checkpoint = str(checkpoint)
    model = build_segmentor(config.model)
    model.init_weights()
    stored = torch.load(checkpoint, map_location='cpu', weights_only=True)['state_dict']
    expected = {
        key.removeprefix('backbone.'): value
        for key, value in stored.items()
        if key.startswith('backbone.')
    }
    given = model.backbone.state_dict()
    assert given.keys() == expected.keys()
    for key, value in given.items():
        torch.testing.assert_close(value, expected[key], msg=key)
    model.train()
    assert not any(weight.requires_grad for weight in model.backbone.parameters())


@pytest.mark.parametrize('name', ['folder', 'camvid', 'sample'])
def test_configs_name_a_folder_for_their_work(name):
    config = Config.fromfile(str(find_config(f'selfsup/densecl_r18_20e_{name}.py')))
    assert config.work_dir == f'./work_dirs/densecl_r18_20e_{name}'
    assert config.model.queue_len % config.data.samples_per_gpu == 0

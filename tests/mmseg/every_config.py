"""Trains and tests configs on small made data in one process; a line of results.jsonl each.

Called as ``python every_config.py NAME ...`` from an empty folder, with the installed package.
"""

import contextlib
import io
import itertools
import json
import shutil
import sys
import time
import traceback
from pathlib import Path
from types import SimpleNamespace

import mmcv.runner.iter_based_runner
import mmcv.utils.config
import mmseg.utils
import numpy as np
import torch
from mmseg.models import build_backbone
from PIL import Image
from scipy.io import savemat

import dynaseg
from dynaseg.mmseg import compat
from dynaseg.mmseg.configs import find_config, load_config
from dynaseg.mmseg.datasets import camvid
from dynaseg.mmseg.datasets.coco_stuff import SPLIT_FILE

NUM_IMAGES, NUM_TRAIN, SIZE = 4, 2, (48, 64)
SIDE, CROP = 64, '(64,64)'


def draw(rng, number):
    """An image of coloured blocks, and their numbers."""
    blocks = rng.integers(0, 4, (3, 4)).repeat(16, axis=0).repeat(16, axis=1)
    colours = rng.integers(0, 256, (4, 3))
    image = colours[blocks] + rng.integers(-20, 20, (*SIZE, 3))
    return Image.fromarray(image.clip(0, 255).astype(np.uint8)), blocks.astype(np.uint8)


def save(image, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def make_data(root):
    """The same images in the layout of every data set."""
    rng = np.random.default_rng(0)
    names = [f'{number:012d}' for number in range(NUM_IMAGES)]
    coco_ids = np.array([156, 123, 168, 95], dtype=np.uint8)  # sky, grass, tree, building
    for name in names:
        image, blocks = draw(rng, name)
        mask = Image.fromarray(blocks)
        save(image, root / f'camvid/train/{name}.png')
        save(mask, root / f'camvid/trainannot/{name}.png')
        save(image, root / f'images/{name}.png')
        save(mask, root / f'masks/{name}.png')
        save(image, root / f'voc/JPEGImages/{name}.jpg')
        save(mask, root / f'voc/SegmentationObject/{name}.png')
        save(image, root / f'potsdam/images/{name}.png')
        save(mask, root / f'potsdam/masks/{name}.png')
        cell = np.empty((1, 1), dtype=object)
        cell[0, 0] = {'Segmentation': (blocks + 1).astype(np.uint16)}
        for subset in ('train', 'val'):
            save(image, root / f'bsds500/images/{subset}/{name}.jpg')
            truth = root / f'bsds500/groundTruth/{subset}/{name}.mat'
            truth.parent.mkdir(parents=True, exist_ok=True)
            savemat(truth, {'groundTruth': cell})
            save(image, root / f'coco/coco/{subset}2017/{name}.jpg')
            photo = root / f'cityscapes/leftImg8bit/{subset}/town/{name}_leftImg8bit.png'
            save(image, photo)
            truth = root / f'cityscapes/gtFine/{subset}/town/{name}_gtFine_labelIds.png'
            save(Image.fromarray(blocks + 7), truth)
            ids = Image.fromarray(coco_ids[blocks])
            save(ids, root / f'coco/coco/annotations/{subset}2017/{name}.png')
    for folder, file in itertools.product(('train', 'val'), ('coco', 'voc')):
        if file == 'coco':
            path = root / f'coco/curated/{folder}2017' / SPLIT_FILE
        else:
            path = root / f'voc/ImageSets/Segmentation/{folder}.txt'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('\n'.join(names) + '\n')
    for file in ('unlabelled_train', 'labelled_train', 'labelled_test'):
        (root / f'potsdam/{file}.txt').write_text('\n'.join(names) + '\n')


def list_options(config, root):
    """The options that bring a config's data to the made ones, and its sizes down."""
    roots = {
        'CamVidDataset': {'data_root': 'camvid'},
        'CocoStuff27Dataset': {'data_root': 'coco'},
        'BSDS500Dataset': {'data_root': 'bsds500'},
        'Cityscapes27Dataset': {'data_root': 'cityscapes'},
        'Potsdam3Dataset': {'data_root': 'potsdam'},
        'VOCRegionDataset': {'data_root': 'voc'},
        'ImageFolderDataset': {'img_dir': 'images'},
        'LabelledFolderDataset': {'img_dir': 'images', 'ann_dir': 'masks'},
    }
    for subset in ('train', 'val', 'test'):
        if subset not in config.data:
            continue
        part = config.data[subset]
        for key, value in roots[part.type].items():
            yield f'data.{subset}.{key}={root / value}'
        for number, step in enumerate(part.pipeline):
            place = f'data.{subset}.pipeline.{number}'
            for key in ('crop_size', 'size'):
                if key in step:
                    yield f'{place}.{key}={SIDE if isinstance(step[key], int) else CROP}'
            if step.get('img_scale'):
                yield f'{place}.img_scale=(256,64)'
    yield from ('data.samples_per_gpu=2', 'data.workers_per_gpu=0')
    if config.model.get('test_cfg', {}).get('fit'):
        yield 'model.test_cfg.fit.iterations=2'


def make_weights(config, path):
    """A file of weights as each of the config's backbones expects one that asks for a file."""
    places = {'model.backbone': config.model.backbone}
    if joined := config.model.backbone.get('backbones'):
        places = {f'model.backbone.backbones.{number}': one for number, one in enumerate(joined)}
    options = []
    for place, backbone_config in places.items():
        initial = backbone_config.get('init_cfg')
        if not initial:
            continue
        torch.manual_seed(0)
        backbone = build_backbone({**backbone_config, 'init_cfg': None})
        weights = getattr(backbone, 'pretrained_part', backbone).state_dict()
        prefix = f'{initial.prefix.rstrip(".")}.' if 'prefix' in initial else ''
        file = path.with_stem(f'{path.stem}-{len(options)}')
        torch.save({f'{prefix}{name}': value for name, value in weights.items()}, file)
        options.append(f'{place}.init_cfg.checkpoint={file}')
    return options


def run(script, *arguments):
    """Run one of MMSegmentation's scripts as ``mim`` does, in this process."""
    sys.argv = [script, *map(str, arguments)]
    compat.run_mmseg_script(script)


def train_and_test(name, folder, root):
    """Train a config for two iterations, if it is one to train, and test it."""
    config = load_config(name)
    options = [*list_options(config, root), *make_weights(config, folder / 'weights.pth')]
    checkpoint = 'scratch://'
    if 'runner' in config:
        checkpoint = folder / 'latest.pth'
        short = ['runner.max_iters=2', 'checkpoint_config.interval=2', 'evaluation.interval=2']
        has_labels = config.data.val.type != 'ImageFolderDataset'
        validate = [] if has_labels else ['--no-validate']
        arguments = ['--seed', 0, '--work-dir', folder, *validate]
        run('train.py', name, *arguments, '--cfg-options', *options, *short)
    wanted = ['--eval', 'mIoU']
    if config.data.test.type == 'ImageFolderDataset':
        written = folder / 'written'
        wanted = ['--format-only', '--eval-options', f'imgfile_prefix={written}']
    run('test.py', name, checkpoint, *wanted, '--work-dir', folder, '--cfg-options', *options)
    if config.data.test.type == 'ImageFolderDataset':
        return {'written': len(list(written.glob('*.png')))}
    (figures,) = folder.glob('eval_*.json')
    return {'mIoU': json.loads(figures.read_text())['metric']['mIoU']}


def report(result):
    # What is printed holds MMCV's progress bars as well.
    with open('results.jsonl', 'a') as file:
        file.write(f'{json.dumps(result)}\n')


def main():
    """Run every config that is named on the command line."""
    root = Path('made').resolve()
    make_data(root)
    torch.set_num_threads(1)
    mmseg.utils.collect_env = dict  # it asks compilers for their versions, each time
    # It sleeps for a second after each training.
    mmcv.runner.iter_based_runner.time = SimpleNamespace(sleep=lambda _: None)
    # Logs have the config, laid out by yapf, which takes as long as the training.
    mmcv.utils.config.FormatCode = lambda text, **_: (text, False)
    camvid.NUM_IMAGES, camvid.NUM_LAST = {'train': NUM_IMAGES}, NUM_IMAGES - NUM_TRAIN
    where = [str(Path(dynaseg.__file__).parent), str(find_config('segment.py').parent)]
    report({'where': where})
    for name in sys.argv[1:]:
        folder = Path(Path(name).stem).resolve()
        folder.mkdir()
        log = io.StringIO()
        began = time.process_time()
        try:
            with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
                result = train_and_test(name, folder, root)
        except ImportError as error:  # of the package with the weights
            result = {'skipped': str(error)}
        except (Exception, SystemExit) as error:
            result = {'error': str(error), 'traceback': traceback.format_exc()}
        shutil.rmtree(folder)
        seconds = time.process_time() - began
        report({'config': name, 'seconds': seconds, **result})


if __name__ == '__main__':
    main()

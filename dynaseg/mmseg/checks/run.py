"""Checks of what a command is about to do, before it does it."""

import copy
import os
import warnings
from argparse import Namespace
from collections.abc import Mapping

import numpy as np
from mmcv import Config
from mmcv.parallel import DataContainer
from mmcv.runner import build_optimizer, load_checkpoint
from mmseg.datasets import ConcatDataset, CustomDataset, build_dataset
from mmseg.models import build_segmentor
from torch import Tensor, nn
from torch.utils.data import Dataset

from dynaseg.io.files import DAMAGE, take_evenly
from dynaseg.io.names import read_names_of
from dynaseg.mmseg.checks.errors import ConfigError, naming
from dynaseg.mmseg.checks.levels import check_image_size
from dynaseg.mmseg.checks.settings import (
    FIGURES,
    READ,
    check_best,
    check_metrics,
    check_settings,
)
from dynaseg.mmseg.checks.weights import list_random, read_weights, refuse_other_segmentor
from dynaseg.mmseg.configs import load_config, refuse_new_keys
from dynaseg.mmseg.resume import LATEST
from dynaseg.mmseg.scratch import PREFIX, initialise
from dynaseg.mmseg.training_data import Draw, DrawnImages, Refusal, list_parts

NUM_MASKS = 20  # to read beforehand
# What mistakes in a config raise; other errors are bugs and keep their traceback.
MISTAKES = (
    *(OSError, ValueError, TypeError, KeyError, IndexError, AssertionError, AttributeError),
    NotImplementedError,
)


def check_command(config: Config, arguments: Namespace) -> None:
    """Check what MMSegmentation's ``train.py`` or ``test.py`` is asked to do.

    Args:
        config: the config, into which the command's options are merged.
        arguments: as the script parses them.

    Raises:
        ConfigError: for the first mistake in it, or in files that it or the command names.
    """
    refuse_new_keys(arguments.cfg_options or {}, READ, config)
    with naming('--cfg-options', *MISTAKES):
        config.merge_from_dict(arguments.cfg_options or {})
        load_config(config)  # which checks what options may have changed
    if hasattr(arguments, 'checkpoint'):
        _check_requests(arguments)
        check_testing(
            config,
            arguments.checkpoint,
            arguments.eval or (),
            writes_maps=bool(arguments.format_only),
            draws=bool(arguments.show or arguments.show_dir),
            augments=bool(arguments.aug_test),
        )
    else:
        if arguments.load_from:
            config.load_from = arguments.load_from
        if arguments.resume_from:
            config.resume_from = arguments.resume_from
        resumed = bool(arguments.auto_resume)
        check_training(config, validate=not arguments.no_validate, resumed=resumed)


def check_training(config: Config, validate: bool = True, resumed: bool = False) -> None:
    """Check a config for training.

    It builds the model, loads its weights, and passes one image through pipeline and network.

    Args:
        config: the config, which is left unchanged.
        validate: whether ``data.val`` is to be evaluated.
        resumed: whether the weights will be those of a checkpoint that is looked for later.

    Raises:
        ConfigError: for the first mistake.
    """
    check_settings(config, training=True)
    model = _build_model(config)
    if hasattr(model, 'segmentation') and model.segmentation.num_fits > 1:
        raise ConfigError(
            'model.test_cfg.fit with regions: such networks are fitted in tests, not trained'
        )
    with (
        naming('model.backbone.pretrained', ImportError),
        naming('model', *MISTAKES),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter('ignore')  # the script will show them
        initialise(model, seed=0)
    if config.get('load_from'):
        _check_checkpoint(model, 'load_from', config.load_from)
    elif not (resumed or config.get('resume_from')):
        _refuse_frozen_noise(model)
    # A `latest.pth` is looked for later.
    if config.get('resume_from') and os.path.basename(config.resume_from) != LATEST:
        _check_checkpoint(model, 'resume_from', config.resume_from)
    with naming('optimizer', *MISTAKES):
        build_optimizer(model, copy.deepcopy(config.optimizer))
    if 'train' not in config.data:
        raise ConfigError('data.train is missing: training needs images')
    dataset = _build_dataset(config, 'train')
    _check_batches(config.data, len(dataset), model)
    img = _take_image(dataset, find_loading(config.data).get('on_bad_image'))
    if hasattr(model, 'segmentation'):
        check_image_size(model, tuple(img.shape[-2:]), img.shape[-3], 'data.train.pipeline')
    if validate:
        _check_validation(config)


def _check_validation(config: Config) -> None:
    """Check the data set, or the list of them, by which a training is evaluated."""
    if 'val' not in config.data:
        raise ConfigError('data.val is missing: give it, or train with --no-validate')
    if config.get('evaluation', {}) is None:
        raise ConfigError('evaluation is None: give its settings, or train with --no-validate')
    evaluation = config.get('evaluation', {})
    is_list = not isinstance(config.data.val, Mapping)
    for one in config.data.val if is_list else [config.data.val]:
        check_metrics('evaluation.metric', evaluation.get('metric', 'mIoU'), one)
    best = evaluation.get('save_best')
    built = _build_dataset(config, 'val')
    if best in FIGURES and isinstance(built, ConcatDataset):
        raise ConfigError(
            f'evaluation.save_best={best!r}: of joined data sets, each has figures of its own; '
            f'expected 0_{best} for the first one'
        )
    has_names = (config.model.get('test_cfg') or {}).get('names') is not None
    if best in (FIGURES if has_names else [f'named_{figure}' for figure in FIGURES]):
        raise ConfigError(
            f'evaluation.save_best={best!r}: figures are called named_{FIGURES[0]}, ... with '
            'model.test_cfg.names, and only with it'
        )
    for dataset in list_parts(built):
        if hasattr(dataset, 'CLASS_GROUPS'):
            check_best(best, dataset.CLASS_GROUPS)
        _check_masks('data.val', dataset)


def _check_requests(arguments: Namespace) -> None:
    """Check what a test is asked for; the script itself would fail with a traceback."""
    wanted = ('eval', 'format_only', 'show', 'show_dir', 'out')
    if not any(getattr(arguments, name) for name in wanted):
        raise ConfigError(
            'no output is requested: give --eval mIoU, --show-dir DIR, --format-only or '
            '--out FILE.pkl'
        )
    if arguments.eval and arguments.format_only:
        raise ConfigError('--eval and --format-only exclude each other')
    if arguments.out and not arguments.out.endswith(('.pkl', '.pickle')):
        raise ConfigError(f'--out={arguments.out!r}: expected a .pkl file')
    if (arguments.show or arguments.show_dir) and arguments.launcher != 'none':
        raise ConfigError('--show-dir and --show draw nothing with --launcher: test in one process')


def _check_abilities(config: Config, draws: bool, augments: bool) -> None:
    """Check that a test can draw, or augment, what it is asked to."""
    if draws:
        loading = {'samples_per_gpu': 1, **config.get('data', {}).get('test_dataloader', {})}
        if loading['samples_per_gpu'] != 1:
            raise ConfigError(
                f'data.test_dataloader.samples_per_gpu={loading["samples_per_gpu"]}: --show-dir '
                'and --show draw the labels of one image at a time; expected 1'
            )
    test_cfg = config.model.get('test_cfg') or {}
    if augments and any(test_cfg.get(key) is not None for key in ('fit', 'regions')):
        raise ConfigError('--aug-test: test_cfg.fit and .regions exclude test-time augmentation')


def check_testing(
    config: Config,
    checkpoint: str,
    metrics: list[str] | tuple[str, ...],
    writes_maps: bool = False,
    draws: bool = False,
    augments: bool = False,
) -> None:
    """Check a config and a checkpoint for testing.

    Args:
        config: the config, which is left unchanged.
        checkpoint: the file, or ``scratch://SEED``.
        metrics: the metrics of ``--eval``.
        writes_maps: whether label maps are to be written, as ``--format-only`` says.
        draws: whether labels are to be drawn, as ``--show-dir`` and ``--show`` say.
        augments: whether images are to be augmented, as ``--aug-test`` says.

    Raises:
        ConfigError: for the first mistake.
    """
    check_settings(config)
    _check_abilities(config, draws, augments)
    if 'test' not in config.get('data', {}):
        raise ConfigError('data.test is missing: a test needs images')
    if not isinstance(config.data.test, Mapping):
        raise ConfigError('data.test is a list: expected one data set, test others by themselves')
    check_metrics('--eval', metrics, config.data.test)
    _check_checkpoint(_build_model(config), 'the checkpoint', checkpoint)
    if names := (config.model.get('test_cfg') or {}).get('names'):
        with naming('model.test_cfg.names', *MISTAKES):
            read_names_of(names, checkpoint)
    dataset = _build_dataset(config, 'test')
    if metrics:
        _check_masks('data.test', dataset)
    if writes_maps and _cannot_write(dataset):
        raise ConfigError(
            f'--format-only: {type(dataset).__name__} writes no label maps; give --show-dir DIR or '
            '--out FILE.pkl, or test on an ImageFolderDataset'
        )


def _build_model(config: Config) -> nn.Module:
    with naming('model', *MISTAKES):
        return build_segmentor(
            copy.deepcopy(config.model),
            train_cfg=config.get('train_cfg'),
            test_cfg=config.get('test_cfg'),
        )


def _build_dataset(config: Config, subset: str) -> Dataset:
    settings = copy.deepcopy(config.data[subset])
    with naming(f'data.{subset}', *MISTAKES):
        dataset = build_dataset(settings, None if subset == 'train' else {'test_mode': True})
    if not len(dataset):
        raise ConfigError(f'data.{subset} has no images')
    return dataset


def find_loading(data: Mapping) -> dict:
    """Get the settings of the loader of training images, as MMSegmentation merges them."""
    return {**data, **data.get('train_dataloader', {})}


def _check_batches(data: Mapping, images: int, model: nn.Module) -> None:
    """Check that every batch of an epoch has as many images as the loss needs."""
    loss = getattr(getattr(model, 'decode_head', None), 'loss_decode', None)
    least = getattr(loss, 'least_images', 1)
    loading = find_loading(data)
    each, processes = loading['samples_per_gpu'], int(os.environ.get('WORLD_SIZE', 1))
    if each < least:
        raise ConfigError(
            f'data.samples_per_gpu={each}: the loss compares the images of a batch; expected at '
            f'least {least}'
        )
    last = -(-(images % (each * processes)) // processes)
    if 0 < last < least and not loading.get('drop_last', True):
        raise ConfigError(
            f'data.train has {images} images, so that the last batch of an epoch would have {last} '
            f'in a process, but the loss compares at least {least}:\nset '
            'data.train_dataloader.drop_last=True, or another data.samples_per_gpu'
        )


def _take_image(dataset: Dataset, on_bad_image: str | None) -> Tensor:
    """Take the first image through the training pipeline."""
    key = 'data.train.pipeline'
    with naming(key, *MISTAKES):
        try:
            sample = DrawnImages(dataset, on_bad_image == 'skip')[Draw(0, (0,))]
            if isinstance(sample, Refusal):
                raise ValueError(sample.reason)
            img = sample['img']
        except KeyError as error:
            raise ConfigError(
                f'{key}: no step gives {error}, which a later one needs (Collect by its meta_keys)'
            ) from error
    img = img.data if isinstance(img, DataContainer) else img
    if not isinstance(img, Tensor):
        raise ConfigError(
            f'{key} gives no tensor: expected at its end\n'
            "dict(type='DefaultFormatBundle'), dict(type='Collect', keys=['img'])"
        )
    return img


def _check_masks(key: str, dataset: Dataset) -> None:
    """Check that some of a data set's masks hold only its classes."""
    if hasattr(dataset, 'get_annotations'):
        dataset.refuse_missing_annotations()
        for index in take_evenly(range(len(dataset)), NUM_MASKS):
            with naming(key, *MISTAKES):
                dataset.get_annotations(index)
    if not hasattr(dataset, 'read_classes'):
        return
    if 'seg_map' not in dataset.img_infos[0].get('ann', {}):
        raise ConfigError(f'{key}.ann_dir is missing: the evaluation needs masks')
    for index in take_evenly(range(len(dataset)), NUM_MASKS):
        with naming(key, *MISTAKES, *DAMAGE):
            values = np.unique(dataset.read_classes(index))
        unknown = values[(values >= len(dataset.CLASSES)) & (values != dataset.ignore_index)]
        if unknown.size:
            raise ConfigError(
                f'{key}.classes: {dataset.img_infos[index]["ann"]["seg_map"]} has the values '
                f'{unknown.tolist()},\nexpected 0 to {len(dataset.CLASSES) - 1}, the classes, or '
                f'{dataset.ignore_index} (ignore_index)'
            )


def _cannot_write(dataset: Dataset) -> bool:
    return getattr(type(dataset), 'format_results', None) is CustomDataset.format_results


def _check_checkpoint(model: nn.Module, key: str, path: str) -> None:
    """Check that a checkpoint can be read and is of this segmentor."""
    if path.startswith(PREFIX):
        with naming(f'{key}={path!r}', ImportError, *MISTAKES):
            load_checkpoint(model, path, map_location='cpu', logger='silent')
        return
    weights = read_weights(key, path)
    if hasattr(model, 'allow_missing'):
        refuse_other_segmentor(model, weights, model.allow_missing, f'{key}={path!r}')


def _refuse_frozen_noise(model: nn.Module) -> None:
    if not hasattr(model, 'segmentation'):
        return
    model.train()  # which freezes what is to be frozen
    for key, backbone in list_random(model).items():
        if not any(weight.requires_grad for weight in backbone.parameters()):
            raise ConfigError(
                f'{key}.init_cfg: {type(backbone).__name__} has no weights and is frozen'
                ", so it stays random:\ngive init_cfg=dict(type='Pretrained', "
                'checkpoint=...), or load_from'
            )

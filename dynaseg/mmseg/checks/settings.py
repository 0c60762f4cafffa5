"""Checks of a whole config, before anything is built from it."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from numbers import Integral

from mmcv import Config
from mmcv.runner import HOOKS, EvalHook
from mmcv.runner.builder import RUNNERS
from mmcv.runner.optimizer.builder import OPTIMIZERS
from mmseg.core.evaluation import EvalHook as MMSegEvalHook
from mmseg.datasets import CustomDataset, build_dataloader
from mmseg.datasets.builder import DATASETS
from mmseg.models.builder import MODELS
from torch.utils.data import DataLoader

from dynaseg.mmseg.checks.errors import ConfigError, suggest
from dynaseg.mmseg.checks.parts import check_dataset, check_part, check_segmentor
from dynaseg.mmseg.checks.signatures import check_arguments, read_signature
from dynaseg.mmseg.configs import load_config, merge_options, refuse_new_keys

# What MMSegmentation's scripts read from a config, by where the shipped configs have it.
SCHEDULE = ('optimizer', 'optimizer_config', 'lr_config', 'checkpoint_config')
RUNTIME = ('log_config', 'log_level', 'workflow', 'load_from', 'resume_from')
TOP_LEVEL = (
    *SCHEDULE,
    *RUNTIME,
    *('model', 'data', 'runner', 'evaluation', 'custom_hooks', 'custom_imports', 'dist_params'),
    *('find_unused_parameters', 'cudnn_benchmark', 'momentum_config', 'fp16', 'work_dir'),
)
READ = (  # all that has an effect
    *TOP_LEVEL,
    *('train_cfg', 'test_cfg', 'total_iters', 'total_epochs'),
    *('mp_start_method', 'opencv_num_threads'),
)
# What must be a dict, where it is given.
SECTIONS = (
    *SCHEDULE,
    *('data', 'runner', 'evaluation', 'log_config', 'momentum_config', 'model.test_cfg'),
    *('model.train_cfg', 'dist_params'),
)
SUBSETS = ('train', 'val', 'test')
LOADERS = tuple(f'{subset}_dataloader' for subset in SUBSETS)
# What the training script passes to a runner, a loader and a hook.
OF_RUNNERS = ('model', 'batch_processor', 'optimizer', 'work_dir', 'logger', 'meta')
OF_LOADERS = ('dataset', 'num_gpus', 'dist', 'batch_size', 'num_workers', 'collate_fn', 'sampler')
HOOK_CONFIGS = {'optimizer_config': 'OptimizerHook', 'checkpoint_config': 'CheckpointHook'}
# What a hook passes on when it saves a checkpoint: anything else fails only then.
OF_CHECKPOINTS = ('filename_tmpl', 'create_symlink', 'meta')
OF_ITERATIONS = ('checkpoint_config', 'lr_config', 'momentum_config')
# What hooks import when a training begins.
PACKAGES = {
    'TensorboardLoggerHook': 'tensorboard',
    'WandbLoggerHook': 'wandb',
    'MlflowLoggerHook': 'mlflow',
}
LOG_LEVELS = ('CRITICAL', 'ERROR', 'WARNING', 'INFO', 'DEBUG')
# Counts, and the minimum of each.
COUNTS = {
    'runner.max_iters': 1,
    'runner.max_epochs': 1,
    'evaluation.interval': 1,
    'log_config.interval': 1,
    'model.decode_head.num_classes': 1,
    'data.samples_per_gpu': 1,
    'data.workers_per_gpu': 0,
    **{f'data.{loader}.samples_per_gpu': 1 for loader in LOADERS},
    **{f'data.{loader}.workers_per_gpu': 0 for loader in LOADERS},
}
NUMBERS = ('lr', 'momentum', 'weight_decay')  # of optimizers
# Metrics of clusters by which MMCV can keep the best checkpoint.
FIGURES = ('mIoU', 'aAcc', 'mAcc', 'mIoU_per_image', 'aAcc_per_image')
RULES = ('greater', 'less')  # by which one figure is better than another
# Hooks that work only with a DynaSeg.
OF_DYNASEG = ('KMeansStartHook', 'NoiseWhiteningHook', 'ClusterPicturesHook')
INFINITE = ('norm_type',)  # of gradient clipping: the maximum norm


def check_settings(config: Config, training: bool = False) -> None:
    """Check the keys, types and numbers of a config.

    Args:
        config: the config.
        training: whether it is for training, which needs a schedule.

    Raises:
        ConfigError: for the first mistake.
    """
    config = dict(config.items())  # a Config is not a Mapping
    if training:
        _check_complete(config)
    _check_top_level(config)
    for key, value in _walk('', config):
        may_be_infinite = key.rpartition('.')[2] in INFINITE
        if isinstance(value, float) and not math.isfinite(value) and not may_be_infinite:
            raise ConfigError(f'{key}={value}: expected a finite number')
    for key, least in COUNTS.items():
        value = _get(config, key)
        if value is not None and not (
            isinstance(value, Integral) and not isinstance(value, bool) and value >= least
        ):
            raise ConfigError(f'{key}={value!r}: expected a whole number of at least {least}')
    if _get(config, 'checkpoint_config.interval') == 0:
        raise ConfigError('checkpoint_config.interval=0: expected at least 1, or -1 for none')
    check_segmentor(config['model'])
    if 'data' in config:
        _check_data(config['data'])
    _check_schedule(config)


def load_with_options(config: str, options: Sequence[str]) -> Config:
    """Load a config for a command, changed by its ``--cfg-options``.

    Args:
        config: path or name; see :func:`dynaseg.mmseg.configs.load_config`.
        options: such as ``'data.samples_per_gpu=2'``.

    Returns:
        The changed config.

    Raises:
        FileNotFoundError, ValueError: if there is no such config, it is not valid, or an option is
            not, or would have no effect.
    """
    loaded = load_config(config)
    refuse_new_keys(options, READ, loaded)
    return merge_options(loaded, options)


def check_metrics(key: str, metrics: object, dataset: Mapping) -> None:
    """Check that a data set supports the requested metrics.

    Raises:
        ConfigError: if it does not.
    """
    known = getattr(DATASETS.get(dataset['type']), 'METRICS', None)
    if known is None or not metrics:  # nothing is known about other packages' data sets
        return
    if not known:
        raise ConfigError(
            f'{key}={metrics!r}: {dataset["type"]} has no labels to evaluate against; train with '
            '--no-validate,\ntest with --format-only, --show-dir or --out'
        )
    for metric in [metrics] if isinstance(metrics, str) else metrics:
        if metric not in known:
            raise ConfigError(
                f'{key}={metric!r}: {dataset["type"]} supports {", ".join(known)}'
                f'{suggest(metric, known)}'
            )


def _check_top_level(config: Mapping) -> None:
    for key, value in config.items():
        # A config may have its own variables, so only what looks misspelt is refused.
        cutoff = 0.6 if isinstance(value, Mapping) else 0.85
        close = suggest(key, [name for name in TOP_LEVEL if key[:1] == name[:1]], cutoff)
        if key not in TOP_LEVEL and close:
            raise ConfigError(f'{key} is not a known key{close}')
    for key in SECTIONS:
        value = _get(config, key)
        if not isinstance(value, (Mapping, type(None))):
            raise ConfigError(f'{key}={value!r}: expected a dict')
    for key in ('load_from', 'resume_from'):
        if not isinstance(config.get(key), (str, type(None))):
            raise ConfigError(f'{key}={config[key]!r}: expected the name of a file')
    if not isinstance(config.get('custom_hooks'), (list, tuple, type(None))):
        raise ConfigError(f'custom_hooks={config["custom_hooks"]!r}: expected a list of dicts')
    level = config.get('log_level', 'INFO')
    if level not in LOG_LEVELS:
        raise ConfigError(f'log_level={level!r}: expected one of {", ".join(LOG_LEVELS)}')


def check_best(best: object, groups: Iterable[str]) -> None:
    """Check the mean figure of clusters by which the best checkpoint is kept.

    Args:
        best: ``evaluation.save_best``.
        groups: the groups of classes that have means of their own.

    Raises:
        ConfigError: if it is a mean that is not reported.
    """
    known = {*FIGURES, *(f'{name}_{group}' for name in ('mIoU', 'mAcc') for group in groups)}
    if str(best).startswith(('mIoU', 'mAcc', 'aAcc')) and best not in known:
        raise ConfigError(f'evaluation.save_best={best!r} is not a metric{suggest(best, known)}')


def _check_complete(config: Mapping) -> None:
    for key in ('data', *SCHEDULE, *RUNTIME):
        if key not in config:
            base = 'default_runtime.py' if key in RUNTIME else 'schedules/schedule_200.py'
            where = '' if key == 'data' else f', for instance from _base_/{base}'
            raise ConfigError(f'{key} is missing: training needs it{where}')
    if 'runner' not in config and 'total_iters' not in config:
        raise ConfigError(
            'runner is missing: training needs it, for instance from _base_/schedules/'
            'schedule_200.py'
        )


def _check_data(data: Mapping) -> None:
    for loader in LOADERS:
        if not isinstance(data.get(loader, {}), Mapping):
            raise ConfigError(f'data.{loader}={data[loader]!r}: expected a dict')
    check_arguments(
        'data',
        {**data.get('train_dataloader', {}), **data},
        build_dataloader,
        also=(*SUBSETS, *LOADERS, *_loader_keys()),
        supplied=OF_LOADERS,
    )
    known = {*read_signature(build_dataloader).hints, *_loader_keys()} - set(OF_LOADERS)
    _refuse_unknown('data', data, known.union(SUBSETS, LOADERS))  # a loader would fail with it
    for subset in SUBSETS:
        if subset in data:
            check_dataset(f'data.{subset}', data[subset])
    for loader in LOADERS:
        _refuse_unknown(f'data.{loader}', data.get(loader, {}), known)


def _refuse_unknown(key: str, given: Mapping, known: Collection[str]) -> None:
    for entry in given:
        if entry not in known:
            raise ConfigError(f'{key}.{entry} is unknown{suggest(entry, known)}')


def _loader_keys() -> set[str]:
    return set(read_signature(DataLoader).hints) - set(OF_LOADERS)


def _check_schedule(config: Mapping) -> None:
    """Check how a config trains: optimizer, learning rate, runner and hooks."""
    if config.get('optimizer') is not None:
        also = ('paramwise_cfg', 'constructor')
        check_part('optimizer', config['optimizer'], OPTIMIZERS, also, supplied=('params',))
        for key in NUMBERS:
            value = config['optimizer'].get(key, 0.0)
            if isinstance(value, str):
                raise ConfigError(f'optimizer.{key}={value!r}: expected a number')
    for key, suffix in (('lr_config', 'LrUpdaterHook'), ('momentum_config', 'MomentumUpdaterHook')):
        if config.get(key) is not None:
            _check_policy(key, config[key], suffix)
    if config.get('runner') is not None:
        check_part('runner', config['runner'], RUNNERS, supplied=OF_RUNNERS)
        _check_runner(config['runner'])
    for key, kind in HOOK_CONFIGS.items():
        if config.get(key) is not None:
            check_part(key, {'type': kind, **config[key]}, HOOKS, also=('meta',))
    known = {*read_signature(HOOKS.get('CheckpointHook')).hints, *OF_CHECKPOINTS, 'type'}
    _refuse_unknown('checkpoint_config', config.get('checkpoint_config') or {}, known)
    for key in OF_ITERATIONS:
        if (config.get(key) or {}).get('by_epoch') and _counts_iterations(config):
            raise ConfigError(
                f'{key}.by_epoch=True: the runner counts iterations, which end no epoch; leave it '
                'out'
            )
    if config.get('evaluation') is not None:
        _check_evaluation(config)
    for number, hook in enumerate(config.get('custom_hooks') or ()):
        _check_hook(f'custom_hooks[{number}]', hook, config['model'])
    if config.get('log_config') is not None:
        _refuse_unknown('log_config', config['log_config'], ('interval', 'hooks'))
        for number, hook in enumerate(config['log_config'].get('hooks', ())):
            key = f'log_config.hooks[{number}]'
            _check_hook(key, hook, config['model'])
            package = PACKAGES.get(hook['type'])
            if package is not None and find_spec(package) is None:
                raise ConfigError(f'{key}: {hook["type"]} needs a package: pip install {package}')


def _check_hook(key: str, hook: Mapping, model: Mapping) -> None:
    """Check a hook's arguments, and that it supports the model."""
    check_part(key, hook, HOOKS, also=('priority',))
    if hook['type'] in OF_DYNASEG and not hasattr(MODELS.get(model['type']), 'predict'):
        raise ConfigError(
            f"{key}: {hook['type']} needs model.type='DynaSeg', got {model['type']!r}"
        )


def _counts_iterations(config: Mapping) -> bool:
    return (config.get('runner') or {}).get('type', 'IterBasedRunner') == 'IterBasedRunner'


def _check_runner(runner: Mapping) -> None:
    """Check that a runner counts iterations, and not epochs as well, as merged configs may say.

    What makes trainings resumable is in the runner of iterations alone.
    """
    if runner['type'] == 'EpochBasedRunner':
        raise ConfigError(
            "runner.type='EpochBasedRunner': DynaSeg trains by iterations;\n"
            "write runner=dict(_delete_=True, type='IterBasedRunner', max_iters=...)"
        )
    if runner.get('max_iters') is not None and runner.get('max_epochs') is not None:
        unit, other = ('epochs', 'iters') if 'Epoch' in runner['type'] else ('iters', 'epochs')
        raise ConfigError(
            f'runner.max_{other}={runner[f"max_{other}"]}: {runner["type"]} takes only '
            f'max_{unit}, which is {runner[f"max_{unit}"]};\n'
            'for another type write runner=dict(_delete_=True, type=..., ...)'
        )


def _check_policy(key: str, policy: Mapping, suffix: str) -> None:
    """Check a schedule, whose ``policy`` is the beginning of the name of a hook."""
    if 'policy' not in policy:
        raise ConfigError(f"{key}.policy is missing: for instance 'poly' or 'step'")
    name = policy['policy']
    known = [one.removesuffix(suffix) for one in HOOKS.module_dict if one.endswith(suffix)]
    title = name.title() if name == name.lower() else name
    if title not in known:
        raise ConfigError(f'{key}.policy={name!r} is not known{suggest(title, known)}')
    rest = {one: value for one, value in policy.items() if one != 'policy'}
    check_part(key, {'type': title + suffix, **rest}, HOOKS)


def _check_evaluation(config: Mapping) -> None:
    evaluation = config['evaluation']
    dataset = config.get('data', {}).get('val')
    known = {*read_signature(EvalHook).hints, *read_signature(MMSegEvalHook).hints}
    for one in dataset if isinstance(dataset, (list, tuple)) else [dataset]:
        kind = CustomDataset if one is None else DATASETS.get(one['type'])
        known |= set(read_signature(kind.evaluate).hints)
    known -= {'self', 'dataloader', 'results', 'logger', 'gt_seg_maps', 'test_fn'}
    for key in evaluation:
        if key not in known:
            raise ConfigError(
                f'evaluation.{key} is unknown{suggest(key, known)}\n'
                f'expected: {", ".join(sorted(known))}'
            )
    if evaluation.get('rule') not in (None, *RULES):
        raise ConfigError(f'evaluation.rule={evaluation["rule"]!r}: expected one of {RULES}')
    best = str(evaluation.get('save_best'))
    if best not in FIGURES and best.lower() in map(str.lower, FIGURES):
        raise ConfigError(f'evaluation.save_best={best!r} is not a metric{suggest(best, FIGURES)}')


def _walk(key: str, value: object) -> Iterator[tuple[str, object]]:
    """Yield every value of a config that holds no others, with its key."""
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _walk(f'{key}.{name}' if key else name, one)
    elif isinstance(value, (list, tuple)):
        for number, one in enumerate(value):
            yield from _walk(f'{key}[{number}]', one)
    else:
        yield key, value


def _get(config: Mapping, key: str) -> object:
    """Get the value of a dotted key; None if there is none."""
    for name in key.split('.'):
        if not isinstance(config, Mapping) or name not in config:
            return None
        config = config[name]
    return config

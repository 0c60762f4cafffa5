"""Resuming killed trainings as if they had not been killed; see ``docs/reliability.md``."""

import logging
import os
import random
import re
from pathlib import Path

import mmcv.runner.iter_based_runner
import numpy as np
import torch
from mmcv.fileio.file_client import HardDiskBackend
from mmcv.runner import Hook, IterBasedRunner, get_dist_info
from mmcv.runner.iter_based_runner import IterLoader
from mmcv.utils import print_log
from mmseg.core.utils import sync_random_seed
from mmseg.utils import get_device, get_root_logger
from torch.utils.data import DataLoader

from dynaseg.io.files import atomic_write, is_damaged, is_whole, remove_parts, write_file
from dynaseg.mmseg.checks.weights import describe_random_weights
from dynaseg.mmseg.errors import UserError
from dynaseg.mmseg.finite import FiniteHook, describe_network
from dynaseg.mmseg.training_data import DrawnImages, TrainingSampler

LATEST = 'latest.pth'
CHECKPOINT_NAME = re.compile(r'(?:iter|epoch)_(\d+)\.pth')
# What a resumed training takes from a checkpoint's meta; the rest describes the run that wrote it.
CONTINUED = ('seed', 'hook_msgs', 'grad_scaler')
# What schedules of the learning rate and the momentum add to an optimiser.
OF_SCHEDULES = {'initial_lr', 'initial_momentum', 'base_momentum', 'max_momentum'}

_run = IterBasedRunner.run
_save_checkpoint = IterBasedRunner.save_checkpoint
_register_hook = IterBasedRunner.register_hook


class SeedHook(Hook):
    """Seeds the random numbers of an iteration, such as dropout's, by its number.

    Checkpoints therefore need not hold the state of the generators.

    Args:
        seed: of the training, the same in all processes.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def before_train_iter(self, runner: IterBasedRunner) -> None:
        """Seed Python, NumPy and PyTorch, on GPUs too, for each process differently."""
        key = (self.seed, get_dist_info()[0], runner.iter)
        seeds = np.random.SeedSequence(key).generate_state(3).tolist()
        random.seed(seeds[0])
        np.random.seed(seeds[1])
        torch.manual_seed(seeds[2])


class TrainingLoader(IterLoader):
    """MMCV's endless loader, from the sampler's current epoch on, and without its pauses."""

    def __init__(self, dataloader: DataLoader) -> None:
        epoch = getattr(dataloader.sampler, 'epoch', 0)  # the first epoch may end while starting
        super().__init__(dataloader)
        self._epoch = epoch

    def __next__(self) -> object:
        try:
            return next(self.iter_loader)
        except StopIteration:
            self._epoch += 1
            if hasattr(self._dataloader.sampler, 'set_epoch'):
                self._dataloader.sampler.set_epoch(self._epoch)
            self.iter_loader = iter(self._dataloader)
            return next(self.iter_loader)


def run(
    runner: IterBasedRunner, data_loaders: list[DataLoader], workflow: list[tuple], *args, **kwargs
) -> None:
    """Run a training as MMCV's ``IterBasedRunner`` does, continuing with the data due next."""
    seed = (runner.meta or {}).get('seed')
    if seed is not None:
        seed = sync_random_seed(seed, get_device())  # of --diff_seed each process has its own
    loaders = [
        loader
        for loader, (mode, _) in zip(data_loaders, workflow, strict=True)
        if mode == 'train' and isinstance(loader.sampler, TrainingSampler)
    ]
    for loader in loaders:
        loader.sampler.go_to(runner.iter, seed)
    if seed is not None:
        # After hooks that draw before a step.
        runner.register_hook(SeedHook(seed), priority='LOWEST')
    runner.register_hook(FiniteHook(), priority='HIGH')  # before the optimiser's step
    if runner.work_dir and runner.rank == 0:
        remove_parts(Path(runner.work_dir))
    _repeat_warning(runner)
    _run(runner, data_loaders, workflow, *args, **kwargs)
    for loader in loaders:
        if isinstance(loader.dataset, DrawnImages):
            skipped = loader.dataset.describe_skipped()
            if skipped:
                print_log(skipped, runner.logger, logging.WARNING)


def _repeat_warning(runner: IterBasedRunner) -> None:
    """Warn of random weights again, below MMCV's lines for every parameter, and in the log."""
    model = getattr(runner.model, 'module', runner.model)
    if runner.iter > 0 or getattr(model, 'was_loaded', True):  # or is not DynaSeg's
        return
    warning = describe_random_weights(model)
    if warning:
        print_log(warning, runner.logger, logging.WARNING)


def resume(
    runner: IterBasedRunner,
    checkpoint: str,
    resume_optimizer: bool = True,
    map_location: str = 'default',
) -> None:
    """Resume a training, on a CPU too, at the iteration after a checkpoint's.

    MMCV's version needs a GPU, repeats the checkpoint's last iteration and forgets the seed and
    the best score.

    Args:
        runner: the training's runner.
        checkpoint: the file; a ``latest.pth`` that is damaged or a broken link is replaced by the
            newest intact checkpoint beside it.
        resume_optimizer: whether to resume the optimiser, too.
        map_location: where the checkpoint is loaded before it is copied; the CPU by default.

    Raises:
        UserError: if the file is not an intact checkpoint of this network's training.
    """
    path = str(checkpoint)
    if os.path.basename(path) == LATEST:
        path = find_latest_checkpoint(os.path.dirname(path) or '.') or path
    if not os.path.isfile(path):
        raise UserError(f'no checkpoint {path} to resume from')
    if is_damaged(path):
        raise UserError(f'{path}: cannot be resumed from: it is damaged')
    try:
        loaded = runner.load_checkpoint(
            path, 'cpu' if map_location == 'default' else map_location, strict=True
        )
    except Exception as error:  # from unpickling any content
        raise UserError(f'{path}: cannot be resumed from: {error}') from error
    meta = loaded.get('meta') or {}
    if 'iter' not in meta or (resume_optimizer and 'optimizer' not in loaded):
        raise UserError(
            f'{path}: cannot be resumed from: only weights; start from them with --load-from'
        )
    if resume_optimizer:
        _resume_optimizer(runner.optimizer, loaded['optimizer'], path)
    runner.meta = {**(runner.meta or {}), **{key: meta[key] for key in CONTINUED if key in meta}}
    runner._iter = runner._inner_iter = meta['iter'] + 1  # it counts from 0 and is done
    runner._epoch = meta['epoch']
    runner.logger.info(
        f'resumed from {path} after {runner.iter} iterations, seed {runner.meta.get("seed")}'
    )


def _resume_optimizer(optimizer: torch.optim.Optimizer, state: dict, path: str) -> None:
    """Load the state of an optimiser; in Adam that of SGD would fail only in the next step."""
    try:
        groups, number = state['param_groups'], len(optimizer.param_groups)
        if len(groups) != number:
            raise ValueError(f'it has {len(groups)} groups of parameters, and this one {number}')
        for own, given in zip(optimizer.param_groups, groups, strict=True):
            if unknown := set(given) - set(own) - OF_SCHEDULES:
                raise ValueError(f'its {", ".join(sorted(unknown))} are not of this one')
        optimizer.load_state_dict(state)
    except (ValueError, KeyError) as error:
        raise UserError(
            f'{path}: cannot be resumed from: another optimizer wrote it ({error}); start from its '
            'weights with --load-from'
        ) from error


def find_latest_checkpoint(path: str, suffix: str = 'pth') -> str | None:
    """Find the checkpoint from which a training resumes.

    Args:
        path: the work folder.
        suffix: not used; see MMSegmentation.

    Returns:
        ``latest.pth`` if it is intact, else the intact checkpoint with the most iterations, after a
        warning for each damaged one; None if there is no intact one.
    """
    folder = Path(path)
    names = os.listdir(folder) if folder.is_dir() else []
    numbered = {name: int(match[1]) for name in names if (match := CHECKPOINT_NAME.fullmatch(name))}
    newest_first = sorted(numbered, key=numbered.get, reverse=True)
    found = None
    for name in [LATEST] * (LATEST in names) + newest_first:
        if is_whole(folder / name):
            found = str(folder / name)
            break
        print_log(
            f'{folder / name} is damaged or a broken link: looking for an older checkpoint',
            get_root_logger(),
            logging.WARNING,
        )
    print_log(
        f'no checkpoint in {folder}' if found is None else f'found {found}', get_root_logger()
    )
    return found


def save_checkpoint(runner: IterBasedRunner, *args, **kwargs) -> None:
    """Save a checkpoint as MMCV does, if the weights are finite."""
    problem = describe_network(runner.model)
    if problem:
        raise UserError(f'iteration {runner.iter + 1} of {runner.max_iters}: {problem}')
    _save_checkpoint(runner, *args, **kwargs)


def register_hook(runner: IterBasedRunner, hook: Hook, priority: str | int = 'NORMAL') -> None:
    """Register a hook; checkpoints are saved after the evaluation of their iteration.

    Otherwise a training killed in between would resume without that evaluation's best score.
    """
    if isinstance(hook, mmcv.runner.CheckpointHook):
        priority = 'VERY_LOW'
    _register_hook(runner, hook, priority)


def put(backend: HardDiskBackend, obj: bytes, filepath: str | Path) -> None:
    """Write a file completely or not at all, and wait until it is on the disk."""
    write_file(Path(filepath), obj, sync=True)


def symlink(src: str, dst: str, overwrite: bool = True, **kwargs) -> None:
    """Make a symbolic link, replacing an existing one atomically."""
    if not overwrite:
        os.symlink(src, dst, **kwargs)
        return
    with atomic_write(Path(dst)) as temporary:
        os.symlink(src, temporary, **kwargs)

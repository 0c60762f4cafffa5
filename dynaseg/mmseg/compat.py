"""Repairs that MMCV 1.7 and MMSegmentation 0.30 need on today's PyTorch, each with its reason.

``import dynaseg.mmseg`` applies them all; applying them again changes nothing.
"""

import os
import runpy
import subprocess
import sys
from functools import cache
from itertools import chain, zip_longest
from pathlib import Path
from typing import NoReturn

import mmcv
import mmcv.engine
import mmcv.parallel._functions
import mmcv.runner.dist_utils
import mmcv.runner.iter_based_runner
import mmcv.utils.version_utils
import mmseg.apis.test
import mmseg.apis.train
import mmseg.datasets.builder
import mmseg.datasets.pipelines.formatting
import mmseg.utils
import numpy as np
import torch
import torch.distributed as dist
from mmcv.fileio.file_client import HardDiskBackend
from mmcv.image import tensor2imgs
from mmcv.parallel import DataContainer, MMDataParallel, MMDistributedDataParallel
from mmcv.parallel.scatter_gather import scatter_kwargs
from mmcv.runner import IterBasedRunner
from mmcv.utils import print_log
from mmseg.utils.util_distribution import build_ddp, build_dp
from torch.utils.data import Dataset

from dynaseg.io.reading import ImageReadError
from dynaseg.mmseg import batch_norm, resume
from dynaseg.mmseg.checks.errors import find_root
from dynaseg.mmseg.configs import load_config, parse_value
from dynaseg.mmseg.errors import UserError
from dynaseg.mmseg.training_data import build_dataloader

FORMAT_DIR = '.format_cityscapes'  # the script's default, whatever the data set

_init_dist_pytorch = mmcv.runner.dist_utils._init_dist_pytorch
_to_tensor = mmseg.datasets.pipelines.formatting.to_tensor
_collect_results_cpu = mmcv.engine.collect_results_cpu
_build_dataset = mmseg.datasets.build_dataset


def apply() -> None:
    """Apply every repair to the libraries in this process."""
    allow_numpy_scalars()
    mmcv.parallel._functions._get_stream = get_stream
    # PyTorch 2.1 removed the switch, which MMCV reads before every distributed forward pass.
    MMDistributedDataParallel._use_replicated_tensor_module = False
    mmcv.runner.dist_utils._init_dist_pytorch = init_dist_pytorch
    for module in (mmseg.utils, mmseg.utils.util_distribution, mmseg.apis.train):
        module.build_ddp = build_distributed
    mmseg.apis.train.build_dp = build_alone
    for module in (mmcv.engine, mmseg.apis.test):
        module.collect_results_cpu = collect_results
    mmseg.apis.test.tensor2imgs = get_images
    torch.nn.SyncBatchNorm.forward = batch_norm.forward
    for module in (mmseg.datasets, mmseg.datasets.builder, mmseg.apis.train):
        module.build_dataloader = build_dataloader
    mmseg.datasets.pipelines.formatting.to_tensor = to_tensor
    mmcv.utils.version_utils._minimal_ext_cmd = ask_git
    mmcv.DictAction._parse_iterable = staticmethod(parse_value)  # its own removes spaces of paths
    make_trainings_resumable()


def make_trainings_resumable() -> None:
    """Let killed trainings resume where they stopped; ``resume`` gives the reason for each."""
    IterBasedRunner.run = resume.run
    IterBasedRunner.resume = resume.resume
    IterBasedRunner.register_hook = resume.register_hook
    IterBasedRunner.save_checkpoint = resume.save_checkpoint
    mmcv.runner.iter_based_runner.IterLoader = resume.TrainingLoader
    HardDiskBackend.put = resume.put
    mmcv.symlink = resume.symlink
    for module in (mmseg.utils, mmseg.apis.train):
        module.find_latest_checkpoint = resume.find_latest_checkpoint


def allow_numpy_scalars() -> None:
    """Let checkpoints hold NumPy scalars.

    PyTorch 2.6 loads only weights unless a type is allowed; MMCV's ``save_best`` writes the best
    score, a NumPy scalar, into the checkpoint's meta.
    """
    kinds = [np.float16, np.float32, np.float64, np.int32, np.int64, np.bool_]
    rebuild_scalar = np.float64(0).__reduce__()[0]  # its module moved between NumPy 1 and 2
    torch.serialization.add_safe_globals(
        [rebuild_scalar, np.dtype, *kinds, *(type(np.dtype(kind)) for kind in kinds)]
    )


@cache
def get_stream(device: int) -> torch.cuda.Stream:
    """Get the stream that copies to a GPU: MMCV passes an index, PyTorch 2.1 expects a device."""
    return torch.cuda.Stream(device)


def init_dist_pytorch(backend: str, **kwargs) -> None:
    """Join the process group, with gloo if there is no GPU: MMCV divides by the number of GPUs."""
    if torch.cuda.is_available():
        _init_dist_pytorch(backend, **kwargs)
    else:
        dist.init_process_group(backend='gloo', **kwargs)


class CPUDistributedDataParallel(MMDistributedDataParallel):
    """``MMDistributedDataParallel`` without GPUs: it unwraps MMCV's data containers on the CPU."""

    def _passing_sync_batchnorm_handle(self, module: torch.nn.Module) -> None:
        """Do not require a GPU for ``SyncBatchNorm``; :func:`batch_norm.forward` needs none."""

    def train_step(self, *inputs, **kwargs) -> dict:
        """Run a training step of the module; see ``MMDistributedDataParallel``."""
        inputs, kwargs = scatter_kwargs(inputs, kwargs, [-1])
        return super().train_step(*inputs[0], **kwargs[0])

    def val_step(self, *inputs, **kwargs) -> dict:
        """Run a validation step of the module; see ``MMDistributedDataParallel``."""
        inputs, kwargs = scatter_kwargs(inputs, kwargs, [-1])
        return super().val_step(*inputs[0], **kwargs[0])

    def forward(self, *inputs, **kwargs) -> object:
        """Run the module; see ``MMDistributedDataParallel``."""
        inputs, kwargs = scatter_kwargs(inputs, kwargs, [-1])
        return super().forward(*inputs[0], **kwargs[0])


def build_alone(model: torch.nn.Module, device: str = 'cuda', *args, **kwargs) -> MMDataParallel:
    """Wrap a model for training in one process.

    On a CPU it uses the batch normalisation of several processes: with the same rounding, one
    process arrives at the same weights as several.
    """
    if device == 'cpu':
        model = batch_norm.synchronise(model)
    return build_dp(model, device, *args, **kwargs)


def build_distributed(
    model: torch.nn.Module, device: str = 'cuda', *args, **kwargs
) -> MMDistributedDataParallel:
    """Wrap a model for distributed training, with synchronised batch normalisation.

    MMSegmentation's ``build_ddp`` does not support CPUs.
    """
    model = batch_norm.synchronise(model)
    if device != 'cpu':
        return build_ddp(model, device, *args, **kwargs)
    kwargs['device_ids'] = None
    return CPUDistributedDataParallel(model, *args, **kwargs)


def collect_results(result_part: list, size: int, tmpdir: str | None = None) -> list | None:
    """Gather all processes' results in the first, even without the GPU that MMCV needs for it."""
    if torch.cuda.is_available() or tmpdir is not None:
        return _collect_results_cpu(result_part, size, tmpdir)
    parts = [None] * dist.get_world_size()
    dist.all_gather_object(parts, result_part)
    if dist.get_rank() != 0:
        return None
    # The sampler deals the images out in turn and pads the last round.
    return list(chain.from_iterable(zip_longest(*parts)))[:size]


def repair_mmselfsup() -> None:
    """Let mmselfsup's momentum contrast (MoCo, DenseCL) train in one process, on a CPU too.

    It gathers keys and shuffles images over the processes of a group, on GPUs. In one process there
    is nothing to gather, and the order within a batch does not matter to batch normalisation.
    """
    from mmselfsup import utils  # rarely needed, and takes seconds
    from mmselfsup.models.algorithms import densecl, moco

    def gather(tensor: torch.Tensor) -> torch.Tensor:
        return utils.concat_all_gather(tensor) if dist.is_initialized() else tensor

    def shuffle(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        return utils.batch_shuffle_ddp(images) if dist.is_initialized() else (images, None)

    def unshuffle(images: torch.Tensor, order: torch.Tensor | None) -> torch.Tensor:
        return utils.batch_unshuffle_ddp(images, order) if dist.is_initialized() else images

    for module in (densecl, moco):
        module.concat_all_gather = gather
        module.batch_shuffle_ddp = shuffle
        module.batch_unshuffle_ddp = unshuffle


def get_images(img: DataContainer | torch.Tensor, **img_norm_cfg) -> list[np.ndarray]:
    """Get the images of a batch for ``--show-dir``, which expects a floating-point tensor.

    Pipelines that end in ``DefaultFormatBundle`` give a container of 8-bit pixels.
    """
    tensor = img.data[0] if isinstance(img, DataContainer) else img
    return tensor2imgs(tensor.float(), **img_norm_cfg)


def to_tensor(data: object) -> torch.Tensor:
    """Convert pipeline data to a tensor, including flipped images that are one pixel wide.

    NumPy calls those contiguous whatever their strides, and PyTorch rejects negative strides.
    """
    if isinstance(data, np.ndarray) and min(data.strides, default=0) < 0:
        data = data.copy()
    return _to_tensor(data)


def ask_git(command: list[str]) -> bytes:
    """Ask git for the current folder's commit, without its `fatal:` outside a repository."""
    return subprocess.run(command, capture_output=True).stdout


def translate_arguments(arguments: list[str]) -> list[str]:
    """Translate a launcher's arguments into those that MMSegmentation's scripts accept.

    ``torch.distributed.launch`` has passed ``--local-rank`` since PyTorch 2.0. ``mim`` passes
    ``--device cpu`` for the CPU, which the scripts use anyway if no GPU is visible, and always
    passes ``--gpus 1``, which is their default, and of which they warn.

    Args:
        arguments: command line arguments, without the program.

    Returns:
        The translated arguments.

    Examples:
        >>> translate_arguments(['config.py', '--local-rank=1', '--device', 'cpu', '--gpus', '1'])
        ['config.py', '--local_rank=1']
    """
    translated = []
    remaining = iter(arguments)
    for argument in remaining:
        if argument.startswith('--local-rank'):
            argument = argument.replace('--local-rank', '--local_rank', 1)
        option, is_joined, value = argument.partition('=')
        if option == '--device':
            device = value if is_joined else next(remaining, None)
            if device != 'cpu':
                print_log(f'--device {device} is ignored: every visible GPU may be used', 'mmseg')
            continue
        if option == '--gpus':
            number = value if is_joined else next(remaining, None)
            translated += [] if number == '1' else [option, *filter(None, [number])]
            continue
        translated.append(argument)
    return translated


def run_mmseg_script(name: str) -> None:
    """Run one of MMSegmentation's own scripts with this process's arguments, repaired.

    Mistakes in the config or in files that it names are reported beforehand, in a few lines.

    Args:
        name: the script's file name, ``train.py`` or ``test.py``.
    """
    from dynaseg.mmseg.checks.run import check_command  # which needs the repairs

    script = Path(mmseg.__file__).parent / '.mim' / 'tools' / name
    sys.argv = [str(script), *translate_arguments(sys.argv[1:])]
    for module in (mmseg.datasets, mmseg.apis.train):
        module.build_dataset = build_dataset
    functions = runpy.run_path(str(script))
    try:
        arguments = functions['parse_args']()
    except ValueError as error:  # of its options
        stop(f'--cfg-options and the like take KEY=VALUE: {error}')
    try:
        config = load_config(arguments.config)
    except (OSError, ValueError) as error:
        stop(str(error))
    try:
        check_command(config, arguments)
    except UserError as error:
        stop(f'{config.filename}: {find_root(error)}')
    # The script itself does not know the names of shipped configs.
    sys.argv = [config.filename if one == arguments.config else one for one in sys.argv]
    try:
        functions['main']()
    except (UserError, ImageReadError) as error:
        stop(str(find_root(error)), everywhere=True)
    if getattr(arguments, 'format_only', False):
        folder = (arguments.eval_options or {}).get('imgfile_prefix')
        other = '' if folder else '; --eval-options imgfile_prefix=DIR writes them elsewhere'
        print_log(f'label maps are in {folder or FORMAT_DIR}{other}', 'mmseg')


def stop(message: str, everywhere: bool = False) -> NoReturn:
    """End the process with an error.

    Args:
        message: the error.
        everywhere: whether each of several processes prints it, with its number. Otherwise only the
            first does, as of errors that all find.
    """
    rank = int(os.environ.get('RANK', 0))
    if rank and not everywhere:
        sys.exit(1)
    sys.exit(f'error in process {rank}: {message}' if rank else f'error: {message}')


def build_dataset(cfg: dict, default_args: dict | None = None) -> Dataset:
    """Build a data set for a script; errors in the data become errors that the user can fix."""
    try:
        return _build_dataset(cfg, default_args)
    except (ValueError, OSError) as error:
        raise UserError(str(error)) from error

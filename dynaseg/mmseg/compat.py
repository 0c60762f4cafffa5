"""Repairs that MMCV 1.7 and MMSegmentation 0.30 need on today's PyTorch, each with its reason.

``import dynaseg.mmseg`` applies them all; applying them again changes nothing.
"""

import runpy
import sys
from functools import cache
from itertools import chain, zip_longest
from pathlib import Path

import mmcv.engine
import mmcv.parallel._functions
import mmcv.runner.dist_utils
import mmseg.apis.test
import mmseg.apis.train
import mmseg.utils
import numpy as np
import torch
import torch.distributed as dist
from mmcv.image import tensor2imgs
from mmcv.parallel import DataContainer, MMDistributedDataParallel
from mmcv.parallel.scatter_gather import scatter_kwargs
from mmcv.utils import print_log
from mmseg.utils.util_distribution import build_ddp

from dynaseg.mmseg.configs import load_config

_init_dist_pytorch = mmcv.runner.dist_utils._init_dist_pytorch
_collect_results_cpu = mmcv.engine.collect_results_cpu


def apply() -> None:
    """Apply every repair to the libraries in this process."""
    allow_numpy_scalars()
    mmcv.parallel._functions._get_stream = get_stream
    # PyTorch 2.1 removed the switch, which MMCV reads before every distributed forward pass.
    MMDistributedDataParallel._use_replicated_tensor_module = False
    mmcv.runner.dist_utils._init_dist_pytorch = init_dist_pytorch
    for module in (mmseg.utils, mmseg.utils.util_distribution, mmseg.apis.train):
        module.build_ddp = build_distributed
    for module in (mmcv.engine, mmseg.apis.test):
        module.collect_results_cpu = collect_results
    mmseg.apis.test.tensor2imgs = get_images


def allow_numpy_scalars() -> None:
    """Let checkpoints hold NumPy scalars.

    PyTorch 2.6 loads weights alone unless a type is allowed; MMCV's ``save_best`` writes the best
    score, a NumPy scalar, into the checkpoint's meta.
    """
    kinds = [np.float16, np.float32, np.float64, np.int32, np.int64, np.bool_]
    rebuild_scalar = np.float64(0).__reduce__()[0]  # its module moved between NumPy 1 and 2
    torch.serialization.add_safe_globals(
        [rebuild_scalar, np.dtype, *kinds, *(type(np.dtype(kind)) for kind in kinds)]
    )


@cache
def get_stream(device: int) -> torch.cuda.Stream:
    """Get the stream that copies to a GPU: MMCV names it by an index, PyTorch 2.1 by a device."""
    return torch.cuda.Stream(device)


def init_dist_pytorch(backend: str, **kwargs) -> None:
    """Join the process group, through gloo without a GPU: MMCV divides by the number of GPUs."""
    if torch.cuda.is_available():
        _init_dist_pytorch(backend, **kwargs)
    else:
        dist.init_process_group(backend='gloo', **kwargs)


class CPUDistributedDataParallel(MMDistributedDataParallel):
    """``MMDistributedDataParallel`` without GPUs: it unwraps MMCV's data containers on the CPU."""

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


def build_distributed(
    model: torch.nn.Module, device: str = 'cuda', *args, **kwargs
) -> MMDistributedDataParallel:
    """Wrap a model for distributed training; MMSegmentation's ``build_ddp`` refuses the CPU."""
    if device != 'cpu':
        return build_ddp(model, device, *args, **kwargs)
    kwargs['device_ids'] = None
    return CPUDistributedDataParallel(model, *args, **kwargs)


def collect_results(result_part: list, size: int, tmpdir: str | None = None) -> list | None:
    """Gather all processes' results on the first, also without the GPU that MMCV needs for it."""
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
    is nothing to gather, and the order within a batch does not matter to a batch normalisation.
    """
    from mmselfsup import utils  # which few need and takes seconds
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
    """Get the images of a batch for ``--show-dir``, which expects a tensor of floating point.

    Pipelines that end in ``DefaultFormatBundle`` give a container, and of pixels.
    """
    tensor = img.data[0] if isinstance(img, DataContainer) else img
    return tensor2imgs(tensor.float(), **img_norm_cfg)


def translate_arguments(arguments: list[str]) -> list[str]:
    """Translate a launcher's arguments into those that MMSegmentation's scripts know.

    ``torch.distributed.launch`` passes ``--local-rank`` since PyTorch 2.0, and ``mim`` asks for the
    CPU with ``--device cpu``, which is what the scripts use anyway where no GPU is visible.

    Args:
        arguments: command line arguments, without the program.

    Returns:
        The translated arguments.

    Example:
        >>> translate_arguments(['config.py', '--local-rank=1', '--device', 'cpu'])
        ['config.py', '--local_rank=1']
    """
    translated = []
    remaining = iter(arguments)
    for argument in remaining:
        if argument.startswith('--local-rank'):
            argument = argument.replace('--local-rank', '--local_rank', 1)
        if argument == '--device':
            device = next(remaining, None)
            if device != 'cpu':
                print_log(f'--device {device} is ignored: every visible GPU may be used', 'mmseg')
            continue
        translated.append(argument)
    return translated


def run_mmseg_script(name: str) -> None:
    """Run one of MMSegmentation's own scripts with this process's arguments, repaired.

    Args:
        name: the script's file name, ``train.py`` or ``test.py``.
    """
    script = Path(mmseg.__file__).parent / '.mim' / 'tools' / name
    arguments = translate_arguments(sys.argv[1:])
    config = next((argument for argument in arguments if argument.endswith('.py')), None)
    if config is not None:
        try:
            load_config(config)  # which says in a line what is wrong with it
        except (OSError, ValueError) as error:
            sys.exit(f'error: {error}')
    sys.argv = [str(script), *arguments]
    runpy.run_path(str(script), run_name='__main__')

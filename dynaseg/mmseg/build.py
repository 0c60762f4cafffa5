import logging
from os import PathLike

import torch
from mmcv import Config
from mmcv.runner import load_checkpoint
from mmseg.models import build_segmentor

from dynaseg.device import find_device
from dynaseg.io.files import is_damaged
from dynaseg.mmseg.checks.errors import find_root
from dynaseg.mmseg.checks.parts import check_segmentor
from dynaseg.mmseg.configs import load_config, name_config
from dynaseg.mmseg.models import DynaSeg
from dynaseg.mmseg.scratch import initialise
from dynaseg.predictor import check_seed

LOGGER = logging.getLogger(__name__)  # where a partial load warns of what was left out


def build_segmentor_from(
    config: str | PathLike | Config,
    checkpoint: str | PathLike | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
) -> DynaSeg:
    """Build a segmentor that is ready to segment images.

    Args:
        config: path, name under DynaSeg's ``configs/``, or a loaded config.
        checkpoint: file with trained weights; if None, fresh weights drawn from ``seed``.
        device: such as ``'cpu'`` or ``'cuda:1'``; if None, the GPU if there is one.
        seed: seed of the fresh weights, at least 0.

    Returns:
        The segmentor, in evaluation mode. If its ``test_cfg`` has ``fit``, it is fitted to each
        image that it segments.

    Raises:
        FileNotFoundError: if the config or the checkpoint does not exist.
        ValueError: if the model cannot be built or is not a ``DynaSeg``, the checkpoint is of
            another model, the device does not exist, or the seed is negative.

    Examples:
        >>> segmentor = build_segmentor_from('dynaseg/scf_plain-cnn_100_sample.py', device='cpu')
        >>> segmentor.training
        False
    """
    config = load_config(config)
    device = find_device(device)
    check_seed(seed)
    name = name_config(config)
    try:
        check_segmentor(config.model)
        segmentor = build_segmentor(config.model)
    except Exception as error:  # from the constructor of any registered module
        raise ValueError(f'{name}: the model cannot be built: {find_root(error)}') from error
    if not isinstance(segmentor, DynaSeg):
        kind = config.model.get('type')
        raise ValueError(f"{name}: expected a model of type 'DynaSeg', got {kind!r}")
    try:
        if checkpoint is None:
            initialise(segmentor, seed)
        else:
            if is_damaged(checkpoint):
                raise ValueError('it is damaged')
            # The segmentor refuses a checkpoint of another network.
            load_checkpoint(segmentor, str(checkpoint), map_location='cpu', logger=LOGGER)
    except FileNotFoundError:
        raise
    except Exception as error:  # from any loader, or from unpickling any content
        source = f'{name}: the weights' if checkpoint is None else checkpoint
        raise ValueError(f'{source}: cannot be loaded as a checkpoint: {error}') from error
    return segmentor.to(device).eval()

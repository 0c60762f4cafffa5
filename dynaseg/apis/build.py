from os import PathLike

import torch
from mmcv import Config
from mmcv.runner import load_checkpoint
from mmseg.models import build_segmentor

from dynaseg.apis.configs import DEFAULT_CONFIG, find_config
from dynaseg.models import DynaSeg
from dynaseg.utils.scratch import PREFIX


def load_config(config: str | PathLike | Config | None = None) -> Config:
    """Load a config.

    Args:
        config: path, name under DynaSeg's ``configs/``, or a config that is loaded already;
            DynaSeg's default for segmenting photographs where None.

    Returns:
        The config.

    Raises:
        FileNotFoundError: if there is no such config.
        ValueError: if the file is no config of a model.
    """
    if not isinstance(config, Config):
        path = find_config(config or DEFAULT_CONFIG)
        try:
            if path.suffix == '.py':
                compile(path.read_bytes(), path, 'exec')  # MMCV's own check leaves a traceback
            config = Config.fromfile(path)
        except Exception as error:  # a config is code: it may raise anything
            raise ValueError(f'{path} is not a valid config: {error}') from error
    if 'model' not in config:
        raise ValueError(f'{_name(config)} is not a valid config: it has no `model`')
    return config


def build_segmentor_from(
    config: str | PathLike | Config | None = None,
    checkpoint: str | PathLike | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
) -> DynaSeg:
    """Build a segmentor that is ready to segment images.

    Args:
        config: path, name under DynaSeg's ``configs/``, or a loaded config; DynaSeg's default for
            segmenting photographs where None.
        checkpoint: file with trained weights; fresh weights, drawn from ``seed``, where None.
        device: such as ``'cpu'`` or ``'cuda:1'``; the GPU where None and there is one.
        seed: seed of the fresh weights, at least 0.

    Returns:
        The segmentor, in evaluation mode. Where its ``test_cfg`` has ``fit``, it is fitted to each
        image that it segments.

    Raises:
        FileNotFoundError: if the config or the checkpoint does not exist.
        ValueError: if the model cannot be built, is not a ``DynaSeg``, the checkpoint's weights are
            not those of the model, the device is not there, or the seed is negative.

    Example:
        >>> segmentor = build_segmentor_from('dynaseg/scf_plain-cnn_100_sample.py', device='cpu')
        >>> segmentor.training
        False
    """
    config = load_config(config)
    device = _find_device(device)
    if seed < 0:
        raise ValueError(f'seed must be at least 0, got {seed}')
    try:
        segmentor = build_segmentor(config.model)
    except Exception as error:  # constructors of any registered module
        raise ValueError(f'{_name(config)}: the model cannot be built: {error}') from error
    if not isinstance(segmentor, DynaSeg):
        kind = config.model.get('type')
        raise ValueError(f"{_name(config)}: expected a model of type 'DynaSeg', got {kind!r}")
    # With every weight accounted for: the default skips what does not fit, which leaves it random.
    source = f'{PREFIX}{seed}' if checkpoint is None else str(checkpoint)
    try:
        load_checkpoint(segmentor, source, map_location='cpu', strict=True, logger='silent')
    except FileNotFoundError:
        raise
    except Exception as error:  # of any loader, and of unpickling any content
        raise ValueError(f'{source}: cannot be loaded as a checkpoint: {error}') from error
    segmentor.img_norm_cfg = config.get('img_norm_cfg', segmentor.img_norm_cfg)
    return segmentor.to(device).eval()


def _name(config: Config) -> str:
    return config.filename or 'the config'


def _find_device(device: str | torch.device | None) -> torch.device:
    if device is None:
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f'device {device!r} is unknown: {error}') from error
    if device.type == 'cuda' and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise ValueError(f'device {str(device)!r} is not there: PyTorch sees {count} GPUs')
    return device

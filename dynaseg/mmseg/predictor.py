"""Predictors from configs."""

import hashlib
import json
import os
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import torch
from mmcv import Config

from dynaseg.mmseg.build import build_segmentor_from
from dynaseg.mmseg.configs import load_config, merge_options
from dynaseg.mmseg.models.predictors import TrainedPredictor
from dynaseg.predictor import FittedPredictor, RegionPredictor


def build_predictor(
    config: str | PathLike | Config,
    checkpoint: str | PathLike | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
    cfg_options: Sequence[str] = (),
) -> tuple[FittedPredictor | RegionPredictor | TrainedPredictor, dict[str, object]]:
    """Build what segments images as a config says.

    Args:
        config: path, name under DynaSeg's ``configs/``, or a loaded config.
        checkpoint: file with trained weights; fresh ones, drawn from ``seed``, where None.
        device: such as ``'cpu'`` or ``'cuda:1'``; the GPU where None and there is one.
        seed: seed of the fresh weights, at least 0.
        cfg_options: changes of the config, as of :func:`dynaseg.mmseg.configs.merge_options`.

    Returns:
        The predictor, and what its segmentations depend on, as values of JSON: files by their
        content, since they move and change.

    Raises:
        FileNotFoundError, ValueError: as :func:`dynaseg.mmseg.build.build_segmentor_from`.
    """
    config = merge_options(load_config(config), cfg_options)
    segmentor = build_segmentor_from(config, checkpoint, device, seed)
    predictor = segmentor.make_predictor()
    content = json.dumps(config.model.to_dict(), sort_keys=True, default=repr)
    settings = {
        'config': Path(config.filename or 'given in Python').name,
        'config_sha256': hashlib.sha256(content.encode()).hexdigest(),
        'checkpoint': None,
        'seed': seed,
    }
    if checkpoint is not None:
        settings['checkpoint'] = os.path.basename(checkpoint)
        if os.path.isfile(checkpoint):
            content = Path(checkpoint).read_bytes()
            settings['checkpoint_sha256'] = hashlib.sha256(content).hexdigest()
    return predictor, settings

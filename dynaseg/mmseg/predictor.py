"""Predictors from configs."""

import hashlib
import json
import os
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import torch
from mmcv import Config

from dynaseg.io.names import hash_file, read_names_of
from dynaseg.mmseg.build import build_segmentor_from
from dynaseg.mmseg.checks.settings import READ
from dynaseg.mmseg.configs import load_config, merge_options, refuse_new_keys
from dynaseg.mmseg.models.predictors import TrainedPredictor
from dynaseg.predictor import FittedPredictor, RegionPredictor


def build_predictor(
    config: str | PathLike | Config,
    checkpoint: str | PathLike | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
    cfg_options: Sequence[str] = (),
    names: str | PathLike | None = None,
) -> tuple[FittedPredictor | RegionPredictor | TrainedPredictor, dict[str, object]]:
    """Build the predictor that a config describes.

    Args:
        config: path, name under DynaSeg's ``configs/``, or a loaded config.
        checkpoint: file with trained weights; if None, fresh weights drawn from ``seed``.
        device: such as ``'cpu'`` or ``'cuda:1'``; if None, the GPU if there is one.
        seed: seed of the fresh weights, at least 0.
        cfg_options: changes to the config; see :func:`dynaseg.mmseg.configs.merge_options`.
        names: file with names of the checkpoint's clusters (see :mod:`dynaseg.io.names`); if None,
            that of the config's ``test_cfg``.

    Returns:
        The predictor, and what its segmentations depend on, as JSON values: files by the hashes of
        their content, since they move and change; with ``label_names`` if labels mean the same in
        every image.

    Raises:
        FileNotFoundError, ValueError: see :func:`dynaseg.mmseg.build.build_segmentor_from` and
            :func:`dynaseg.io.names.read_names_of`; also if the names are not those of the clusters.
    """
    config = load_config(config)
    refuse_new_keys(cfg_options, {*READ} & {*config}, config)
    config = merge_options(config, cfg_options)
    if names is None:
        names = (config.model.get('test_cfg') or {}).get('names')
    cluster_names = None if names is None else read_names_of(names, checkpoint)
    segmentor = build_segmentor_from(config, checkpoint, device, seed)
    try:
        predictor = segmentor.make_predictor(cluster_names)
    except ValueError as error:
        raise ValueError(f'{names}: {error}') from error
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
            settings['checkpoint_sha256'] = hash_file(checkpoint)
    if cluster_names is not None:
        settings |= {'names': os.path.basename(names), 'names_sha256': hash_file(names)}
        settings['names_made_from'] = cluster_names.made_from
    if isinstance(predictor, TrainedPredictor):
        settings['label_names'] = list(predictor.names)
    return predictor, settings

"""Predictors from configs."""

import hashlib
import json
import os
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from mmcv import Config

from dynaseg.core.labels import renumber
from dynaseg.core.sizes import enlarge_labels, limit_size
from dynaseg.mmseg.build import build_segmentor_from
from dynaseg.mmseg.configs import load_config
from dynaseg.mmseg.models import DynaSeg
from dynaseg.predictor import FittedPredictor, Segmentation


class TrainedPredictor:
    """Segments images by a trained segmentor, as it is.

    Args:
        segmentor: in evaluation mode. Larger images than its ``test_cfg.predict_pixels`` are seen
            at that size.
    """

    def __init__(self, segmentor: DynaSeg) -> None:
        self.segmentor = segmentor

    @torch.no_grad()
    def __call__(self, images: Sequence[np.ndarray]) -> list[Segmentation]:
        """Segment images, RGB, uint8, each (H, W, 3); labels are numbered without gaps."""
        return [Segmentation(renumber(self._label(image))) for image in images]

    def _label(self, image: np.ndarray) -> np.ndarray:
        device = next(self.segmentor.parameters()).device
        img = torch.from_numpy(image).to(device).permute(2, 0, 1).flip(0)[None]
        img = limit_size(img.float(), self.segmentor.predict_pixels)
        shape = (*img.shape[2:], 3)
        meta = {'ori_shape': shape, 'img_shape': shape, 'flip': False}
        probabilities = self.segmentor.inference(img, [meta], rescale=False)
        labels = enlarge_labels(probabilities.argmax(dim=1), image.shape[:2])
        return labels[0].cpu().numpy()


def build_predictor(
    config: str | PathLike | Config,
    checkpoint: str | PathLike | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
) -> tuple[FittedPredictor | TrainedPredictor, dict[str, object]]:
    """Build what segments images as a config says.

    Args:
        config: path, name under DynaSeg's ``configs/``, or a loaded config.
        checkpoint: file with trained weights; fresh ones, drawn from ``seed``, where None.
        device: such as ``'cpu'`` or ``'cuda:1'``; the GPU where None and there is one.
        seed: seed of the fresh weights, at least 0.

    Returns:
        The predictor, and what its segmentations depend on, as values of JSON: files by their
        content, since they move and change.

    Raises:
        FileNotFoundError, ValueError: as :func:`dynaseg.mmseg.build.build_segmentor_from`.
    """
    config = load_config(config)
    segmentor = build_segmentor_from(config, checkpoint, device, seed)
    predictor = segmentor.fitted_predictor or TrainedPredictor(segmentor)
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

"""Seconds of a training iteration, compared with MMSegmentation's FCN."""

import argparse
import copy

import torch
from meters import seconds_of
from mmseg.models import build_segmentor
from torch import nn

from dynaseg.core.normalization import Normalization
from dynaseg.device import find_device
from dynaseg.mmseg.configs import Config, load_config

TRAINING_SIZE = 320


def measure_training(options: argparse.Namespace) -> list[dict]:
    """Measure a training iteration of DynaSeg and of FCN, with the same backbone and neck."""
    config = load_config('dynaseg/scf_r18-fpn_10k_coco-stuff27.py').model
    config.backbone.init_cfg = None
    stock = copy.deepcopy(config)
    stock.type = 'EncoderDecoder'
    head = config.decode_head
    stock.decode_head = {
        'type': 'FCNHead',
        'in_channels': head.in_channels,
        'in_index': head.in_index,
        'channels': head.in_channels,
        'num_convs': 0,
        'concat_input': False,
        'num_classes': head.num_classes,
        'norm_cfg': {'type': 'BN'},
    }
    device = find_device(options.device)
    generator = torch.Generator().manual_seed(0)
    size = TRAINING_SIZE, TRAINING_SIZE
    img = torch.randint(256, (options.batch_size, 3, *size), generator=generator).to(device)
    normalise = Normalization()  # as FCN's pipeline does, and DynaSeg itself
    truth = torch.randint(head.num_classes, (len(img), 1, *size), generator=generator).to(device)
    rows = []
    for name, model, seen in (
        ('FCN, cross-entropy', stock, normalise(img)),
        ('DynaSeg', config, img),
    ):
        model = build_segmentor(Config({'model': model}).model).to(device).train()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

        def step(
            model: nn.Module = model,
            seen: torch.Tensor = seen,
            optimizer: torch.optim.SGD = optimizer,
        ) -> None:
            losses = model.forward_train(seen, [{}] * len(seen), truth)
            loss = sum(value.mean() for key, value in losses.items() if 'loss' in key)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        rows.append({'model': name, 'seconds': seconds_of(step, device, repeats=7)})
    for row in rows:
        row['relative'] = row['seconds'] / rows[0]['seconds']
    return rows

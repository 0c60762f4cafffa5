#!/usr/bin/env python
"""Measure the cost of configs' backbones: parameters, stride, memory and images per second.

Weights are random, which costs the same. Times are CPU seconds of one thread, so that a table made
on a busy machine is the same as on an idle one, apart from cache effects.
"""

import argparse
import json
import multiprocessing
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from meters import MemoryPeak

from dynaseg.mmseg.build import build_segmentor_from
from dynaseg.mmseg.configs import load_config

SIZE = 360, 480  # of CamVid's images


def measure(name: str, batch_size: int, repeats: int) -> dict:
    """Measure a config's training step and its inference.

    Args:
        name: path of a config, or its name under DynaSeg's ``configs/``.
        batch_size: images per training step; inference sees one.
        repeats: number of timed steps, after a warm-up step.

    Returns:
        ``config``, ``backbone``, ``parameters`` of the backbone, ``stride`` of the features that
        the head sees, ``test_images_per_s``, ``test_mib``, ``train_images_per_s`` and
        ``train_mib``, for images of 480 x 360; the memory is the peak so far, with the weights.
    """
    torch.set_num_threads(1)
    peak = MemoryPeak(torch.device('cpu'))
    config = load_config(name)
    config.model.feature_cache = None  # reading levels is not computing them
    for backbone in (config.model.backbone, *config.model.backbone.get('backbones', ())):
        if backbone.get('init_cfg'):
            backbone.init_cfg = None
        if 'pretrained' in backbone:
            backbone.pretrained = False
    model = build_segmentor_from(config, device='cpu')
    img = torch.randint(256, (batch_size, 3, *SIZE), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        width = model.features(img[:1]).shape[-1]
    row = {
        'config': Path(name).name,
        'backbone': config.model.backbone.type,
        'parameters': sum(weight.numel() for weight in model.backbone.parameters()),
        'stride': round(SIZE[1] / width),
    }

    def train() -> None:
        losses = model.forward_train(img, [{}] * batch_size)
        loss = model._parse_losses(losses)[0]
        model.zero_grad()
        loss.backward()

    @torch.no_grad()
    def test() -> None:
        model.features(img[:1])

    row['test_images_per_s'] = 1 / _seconds(test, repeats)
    row['test_mib'] = peak.mib()
    model.train()
    row['train_images_per_s'] = batch_size / _seconds(train, repeats)
    row['train_mib'] = peak.mib()
    return row


def _seconds(function: Callable[[], None], repeats: int) -> float:
    """Measure the CPU seconds per call, after a warm-up call."""
    function()
    start = time.process_time()
    for _ in range(repeats):
        function()
    return (time.process_time() - start) / repeats


def _measure_apart(name: str, batch_size: int, repeats: int) -> dict:
    """Measure in a separate process, whose memory nothing else has touched."""
    with multiprocessing.get_context('fork').Pool(1) as pool:
        return pool.apply(measure, (name, batch_size, repeats))


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('configs', nargs='+', help="paths, or names under DynaSeg's configs/")
    parser.add_argument('--batch-size', type=int, default=2, help='images per training step (2)')
    parser.add_argument('--repeats', type=int, default=2, help='number of timed steps (2)')
    parser.add_argument('--json', action='store_true', help='print one line of JSON per config')
    return parser.parse_args()


def main() -> int:
    """Print one row per config."""
    args = parse_args()
    warnings.filterwarnings('ignore', 'model.backbone: .* starts from random weights')
    if not args.json:
        print('| config | parameters | stride | features: images/s, MiB | train: images/s, MiB |')
        print('| --- | --- | --- | --- | --- |')
    for name in args.configs:
        row = _measure_apart(name, args.batch_size, args.repeats)
        if args.json:
            print(json.dumps(row), flush=True)
            continue
        print(
            f'| `{row["config"]}` | {row["parameters"] / 1e6:.1f} M | {row["stride"]} | '
            f'{row["test_images_per_s"]:.1f}, {row["test_mib"]:.0f} | '
            f'{row["train_images_per_s"]:.1f}, {row["train_mib"]:.0f} |',
            flush=True,
        )
    return 0


if __name__ == '__main__':
    sys.exit(main())

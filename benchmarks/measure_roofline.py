"""An iteration of a fit, compared with the machine's peak performance."""

import argparse
import copy

import numpy as np
import torch
from meters import MIB, ByteCounter, seconds_of
from sklearn.datasets import load_sample_image
from torch.utils.flop_counter import FlopCounterMode

from dynaseg.api import load_predictor
from dynaseg.device import find_device
from dynaseg.predictor import FittedPredictor

CONFIG = 'dynaseg/fsf_plain-cnn_fit-fast_folder.py'
SIDE = 4096  # of the matrices whose product shows how fast the machine computes


def measure_roofline(options: argparse.Namespace) -> dict:
    """Count the FLOPs and bytes of an iteration of the fit, and measure the machine's peaks."""
    predictor, _ = load_predictor(options.config or CONFIG, device=options.device)
    if not isinstance(predictor, FittedPredictor):
        raise ValueError(f'{options.config}: expected fits of one network, as in {CONFIG}')
    device = find_device(options.device)
    fitter = predictor.fitter
    image = torch.from_numpy(load_sample_image('china.jpg')[:321, :481].copy()).to(device)
    img = predictor.normalization(image.permute(2, 0, 1)[None])
    img = img.expand(options.batch_size, -1, -1, -1)

    def fit(iterations: int) -> None:
        probe = copy.copy(fitter)
        probe.iterations, probe.tol, probe.predict_pixels = iterations, None, 64
        probe(predictor.network, img)

    def count(iterations: int) -> np.ndarray:
        with FlopCounterMode(display=False) as flops, ByteCounter() as traffic:
            fit(iterations)
        return np.array([flops.get_total_flops(), traffic.total])

    flops, traffic = (count(6) - count(2)) / 4
    seconds = (seconds_of(lambda: fit(22), device) - seconds_of(lambda: fit(2), device)) / 20
    kind = torch.bfloat16 if fitter.bf16 else torch.float32
    square = torch.randn(SIDE, SIDE, device=device).to(kind)
    peak_flops = 2 * SIDE**3 / seconds_of(lambda: square @ square, device, 5)
    block = torch.randn(64 * MIB, device=device)
    copied = torch.empty_like(block)
    bandwidth = 2 * 4 * block.numel() / seconds_of(lambda: copied.copy_(block), device, 5)
    bounds = {'compute': flops / peak_flops, 'memory': traffic / bandwidth}
    return {
        'images at once': options.batch_size,
        'GFLOP per iteration': flops / 1e9,
        'GB per iteration': traffic / 1e9,
        'seconds per iteration': seconds,
        f'peak TFLOP/s ({str(kind).removeprefix("torch.")} matrix product)': peak_flops / 1e12,
        'peak GB/s (copy)': bandwidth / 1e9,
        'bound by computing (s)': bounds['compute'],
        'bound by memory traffic (s)': bounds['memory'],
        'share of the compute roof': bounds['compute'] / seconds,
        'share of the roofline': max(bounds.values()) / seconds,
    }

"""Time DynaSeg beside the published procedure: see ``python tools/benchmark.py --help``.

Each part runs in a process of its own, so that its peak memory is its own.
"""

import argparse
import copy
import json
import math
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from mmcv import Config
from mmseg.models import build_segmentor
from PIL import Image
from prettytable import PrettyTable, TableStyle
from sklearn.datasets import load_sample_image
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from dynaseg.core.metrics.regions import region_statistics, summarize_regions
from dynaseg.core.process import keep_freed_memory
from dynaseg.io.files import atomic_write
from dynaseg.mmseg.build import build_segmentor_from, load_config
from dynaseg.mmseg.datasets.bsds import read_bsds_annotations
from dynaseg.mmseg.datasets.folder import take_evenly
from dynaseg.mmseg.models.segmentor import ResponseNetwork

DESCRIPTION = """\
parts:
  images    seconds an image, peak memory and region metrics, beside the published procedure
  sizes     seconds and peak memory from 0.15 to 24 megapixels
  training  an iteration on a batch beside that of MMSegmentation's FCN
  roofline  an iteration of a fit against what the machine can do"""
PUBLISHED = {'weighting': 'scf', 'mu': 50.0, 'lr': 0.1, 'momentum': 0.9, 'min_clusters': 3}
PUBLISHED_ITERATIONS = 1000
MEGAPIXELS = (0.154, 0.6, 2.4, 6, 24)
TRAINING_SIZE = 320
MIB = 2**20


def fit_as_published(
    network: nn.Module,
    image: Tensor,
    iterations: int,
    keep: Collection[int] = (),
    weighting: str = PUBLISHED['weighting'],
    mu: float = PUBLISHED['mu'],
) -> tuple[dict[int, Tensor], int]:
    """Fit a network to an image as the papers write it: full size, nothing left out.

    Args:
        network: in training mode, from images to response maps; changed in place.
        image: normalised image, (1, 3, H, W).
        iterations: most steps; as published, they end when three clusters are left.
        keep: steps whose labels are wanted; those of an earlier end stand for later ones.
        weighting: ``'fsf'``, ``'scf'`` or ``'fixed'``.
        mu: constant of the weighting.

    Returns:
        Labels, (H, W), by step, and the number of steps taken.
    """
    optimizer = torch.optim.SGD(
        network.parameters(), lr=PUBLISHED['lr'], momentum=PUBLISHED['momentum']
    )
    kept = {}
    for step in range(iterations + 1):
        response = network(image)
        labels = response.argmax(dim=1)
        count = len(labels.unique())
        if step in keep:
            kept[step] = labels[0]
        if step == iterations or count <= PUBLISHED['min_clusters']:
            break
        weight = {'fsf': count / mu, 'scf': mu / count, 'fixed': mu}[weighting]
        similarity = F.cross_entropy(response, labels)
        vertical = (response[:, :, 1:] - response[:, :, :-1]).abs().mean()
        horizontal = (response[:, :, :, 1:] - response[:, :, :, :-1]).abs().mean()
        loss = similarity + weight * (vertical + horizontal)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {wanted: kept.get(wanted, labels[0]) for wanted in keep}, step


class MemoryPeak:
    """Peak memory of the process or, with a GPU, on it, above what it was at the start."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == 'cuda':
            torch.cuda.reset_peak_memory_stats(device)
        else:
            Path('/proc/self/clear_refs').write_text('5')  # the peak starts anew
            self.start = self._read('VmRSS')

    def mib(self) -> float:
        """Return the peak since the start in MiB."""
        if self.device.type == 'cuda':
            return torch.cuda.max_memory_allocated(self.device) / MIB
        return (self._read('VmHWM') - self.start) / 1024

    def _read(self, key: str) -> int:
        lines = Path('/proc/self/status').read_text().splitlines()
        return int(next(line for line in lines if line.startswith(key)).split()[1])


class ByteCounter(TorchDispatchMode):
    """Counts the bytes of all inputs and outputs of every operator: their traffic, uncached."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict | None = None
    ) -> object:
        """Run an operator and count."""
        result = func(*args, **(kwargs or {}))
        if not getattr(func, 'is_view', False):
            tensors = [
                leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)
            ]
            self.total += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return result


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has done its work."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def seconds_of(function: Callable[[], object], device: torch.device, repeats: int = 3) -> float:
    """Median seconds of a call, after one that does not count."""
    times = []
    for _ in range(repeats + 1):
        synchronize(device)
        start = time.perf_counter()
        function()
        synchronize(device)
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))


def load_images(options: argparse.Namespace) -> list[tuple[np.ndarray, list[np.ndarray]]]:
    """Read BSDS500 images, RGB, uint8, (H, W, 3), and the annotations of each."""
    folder = Path(options.data_root)
    files = sorted((folder / 'images' / options.split).glob('*.jpg'))
    if not files:
        raise FileNotFoundError(
            f'no images in {folder / "images" / options.split}: expected BSDS500 (data/README.md)'
        )
    images = []
    for file in take_evenly(files, options.max_images):
        annotations = folder / 'groundTruth' / options.split / f'{file.stem}.mat'
        with Image.open(file) as image:
            pixels = np.asarray(image.convert('RGB'))
        images.append((pixels, read_bsds_annotations(str(annotations))))
    return images


def metrics_of(label_maps: list, images: list) -> dict[str, float]:
    """Region metrics of label maps, and the seconds that they take for an image."""
    start = time.perf_counter()
    statistics = [
        region_statistics(np.asarray(labels), annotations)
        for labels, (_, annotations) in zip(label_maps, images, strict=True)
    ]
    seconds = (time.perf_counter() - start) / len(images)
    return {**summarize_regions(statistics), 'metric_seconds': seconds}


def measure_published(options: argparse.Namespace) -> list[dict]:
    """Measure the published procedure on the images."""
    images = load_images(options)
    segmentor = build_segmentor_from(
        'dynaseg/scf_plain-cnn_fit-full_bsds500.py', None, options.device
    )
    device = next(segmentor.parameters()).device
    keep = sorted({min(50, options.published_iterations), options.published_iterations})
    keep_freed_memory()  # which is the C library's, not the procedure's: both sides have it
    peak = MemoryPeak(device)
    label_maps = {step: [] for step in keep}
    seconds, steps = 0.0, 0
    for number, (image, _) in enumerate(images):
        network = ResponseNetwork(copy.deepcopy(segmentor)).train()
        img = segmentor.normalise(image)[None]
        synchronize(device)
        start = time.perf_counter()
        kept, taken = fit_as_published(network, img, options.published_iterations, keep)
        synchronize(device)
        seconds += time.perf_counter() - start
        steps += taken
        for step in keep:
            label_maps[step].append(kept[step].cpu())
        print(f'published: image {number + 1} of {len(images)}', file=sys.stderr)
    rows = [
        {
            'procedure': 'published',
            'iterations': step,
            'seconds': seconds / steps * step,
            'mib': peak.mib(),
            **metrics_of(label_maps[step], images),
        }
        for step in keep
    ]
    return [
        *rows,
        {
            'procedure': f'published, extrapolated from {options.published_iterations}',
            'iterations': PUBLISHED_ITERATIONS,
            'seconds': seconds / steps * PUBLISHED_ITERATIONS,
            'mib': peak.mib(),
        },
    ]


def measure_project(options: argparse.Namespace, batch_size: int) -> dict:
    """Measure the project on the images, from pixels to labels, silhouette phase included."""
    images = load_images(options)
    segmentor = build_segmentor_from(options.config, None, options.device)
    device = next(segmentor.parameters()).device
    peak = MemoryPeak(device)
    # Both orientations once beforehand: kernels are compiled for every shape.
    warm = {image.shape: image for image, _ in images}
    list(segmentor.segment_stream(warm.items(), batch_size))
    synchronize(device)
    start = time.perf_counter()
    pixels = ((number, image) for number, (image, _) in enumerate(images))
    fits = dict(segmentor.segment_stream(pixels, batch_size))
    synchronize(device)
    seconds = (time.perf_counter() - start) / len(images)
    fits = [fits[number] for number in range(len(images))]
    return {
        'procedure': f'DynaSeg, {batch_size} at once' if batch_size > 1 else 'DynaSeg',
        'iterations': float(np.mean([fit.iterations for fit in fits])),
        'seconds': seconds,
        'mib': peak.mib(),
        **metrics_of([fit.labels for fit in fits], images),
    }


def measure_size(options: argparse.Namespace, megapixels: float) -> dict:
    """Measure the project on a photograph that is resized to so many megapixels."""
    photo = Image.fromarray(load_sample_image('china.jpg'))
    scale = math.sqrt(megapixels * 1e6 / (photo.width * photo.height))
    size = round(photo.width * scale), round(photo.height * scale)
    small = np.asarray(photo.resize((240, 160)))
    image = np.asarray(photo.resize(size, Image.Resampling.BICUBIC))
    segmentor = build_segmentor_from(options.config, None, options.device)
    device = next(segmentor.parameters()).device
    segmentor.segment(small)
    peak = MemoryPeak(device)
    seconds = seconds_of(lambda: segmentor.segment(image), device, repeats=options.repeats)
    return {
        'megapixels': megapixels,
        'seconds': seconds,
        'seconds_a_megapixel': seconds / megapixels,
        'mib': peak.mib(),
    }


def measure_training(options: argparse.Namespace) -> list[dict]:
    """Measure a training iteration of DynaSeg and of FCN, the same backbone and neck for both."""
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
    device = torch.device(options.device or ('cuda' if torch.cuda.is_available() else 'cpu'))
    generator = torch.Generator().manual_seed(0)
    size = TRAINING_SIZE, TRAINING_SIZE
    img = torch.randn(options.batch_size, 3, *size, generator=generator).to(device)
    truth = torch.randint(head.num_classes, (len(img), 1, *size), generator=generator).to(device)
    rows = []
    for name, model in (('FCN, cross-entropy', stock), ('DynaSeg', config)):
        model = build_segmentor(Config({'model': model}).model).to(device).train()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

        def step(model: nn.Module = model, optimizer: torch.optim.SGD = optimizer) -> None:
            losses = model.forward_train(img, [{}] * len(img), truth)
            loss = sum(value.mean() for key, value in losses.items() if 'loss' in key)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        rows.append({'model': name, 'seconds': seconds_of(step, device, repeats=7)})
    for row in rows:
        row['relative'] = row['seconds'] / rows[0]['seconds']
    return rows


def measure_roofline(options: argparse.Namespace) -> dict:
    """Count what an iteration of the fit computes and moves, and measure what the machine can."""
    segmentor = build_segmentor_from(options.config, None, options.device)
    device = next(segmentor.parameters()).device
    fitter = segmentor.fitter
    image = load_sample_image('china.jpg')[:321, :481]
    img = segmentor.normalise(image)[None].expand(options.batch_size, -1, -1, -1)

    def fit(iterations: int) -> None:
        probe = copy.copy(fitter)
        probe.iterations, probe.settled, probe.predict_pixels = iterations, None, 64
        probe(ResponseNetwork(segmentor), img)

    def count(iterations: int) -> np.ndarray:
        with FlopCounterMode(display=False) as flops, ByteCounter() as traffic:
            fit(iterations)
        return np.array([flops.get_total_flops(), traffic.total])

    flops, traffic = (count(6) - count(2)) / 4
    seconds = (seconds_of(lambda: fit(22), device) - seconds_of(lambda: fit(2), device)) / 20
    kind = torch.bfloat16 if fitter.bf16 else torch.float32
    square = torch.randn(4096, 4096, device=device).to(kind)
    peak_flops = 2 * 4096**3 / seconds_of(lambda: square @ square, device, 5)
    block = torch.randn(64 * MIB, device=device)
    copied = torch.empty_like(block)
    bandwidth = 2 * 4 * block.numel() / seconds_of(lambda: copied.copy_(block), device, 5)
    bounds = {'compute': flops / peak_flops, 'memory': traffic / bandwidth}
    return {
        'images at once': options.batch_size,
        'GFLOP an iteration': flops / 1e9,
        'GB an iteration': traffic / 1e9,
        'seconds an iteration': seconds,
        f'peak TFLOP/s ({str(kind).removeprefix("torch.")} matrix product)': peak_flops / 1e12,
        'peak GB/s (copy)': bandwidth / 1e9,
        'bound by computing (s)': bounds['compute'],
        'bound by memory traffic (s)': bounds['memory'],
        'share of the compute roof': bounds['compute'] / seconds,
        'share of the roofline': max(bounds.values()) / seconds,
    }


def describe_machine(device: str | None) -> dict[str, str | int]:
    """Say what the figures were measured on."""
    cpu = platform.processor() or platform.machine()
    if Path('/proc/cpuinfo').is_file():
        names = [
            line.split(':')[1].strip()
            for line in Path('/proc/cpuinfo').read_text().splitlines()
            if line.startswith('model name')
        ]
        cpu = names[0] if names else cpu
    gpu = torch.cuda.get_device_name(device) if uses_gpu(device) else 'none'
    return {
        'date': date.today().isoformat(),
        'processor': cpu,
        'cores': os.cpu_count(),
        'threads': torch.get_num_threads(),
        'GPU': gpu,
        'torch': torch.__version__,
        'python': platform.python_version(),
    }


def uses_gpu(device: str | None) -> bool:
    """Tell whether a device, or the default one, is a GPU."""
    return torch.cuda.is_available() and (device is None or device.startswith('cuda'))


def tabulate(rows: list[dict]) -> str:
    """Set rows as a table in Markdown."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = PrettyTable(names)
    table.set_style(TableStyle.MARKDOWN)
    table.align = 'l'
    for row in rows:
        table.add_row(
            [
                f'{value:.4g}' if isinstance(value := row.get(name, ''), float) else value
                for name in names
            ]
        )
    return table.get_string()


def isolated(function: Callable, *args: object) -> object:
    """Call a function in a fresh process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as pool:
        return pool.submit(function, *args).result()


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0].split(':')[0],
        epilog=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = ('images', 'sizes', 'training', 'roofline')
    parser.add_argument('--parts', nargs='+', choices=parts, default=parts)
    parser.add_argument('--data-root', default='data/bsds500', help='BSDS500 (data/bsds500)')
    parser.add_argument('--split', default='val', help='train, val or test (val)')
    parser.add_argument('--max-images', type=int, default=20, help='evenly spaced ones (20)')
    parser.add_argument('--config', help='what is measured (the default of `segment`)')
    parser.add_argument('--device', help='such as cpu or cuda:1 (the GPU if there is one)')
    parser.add_argument(
        '--published-iterations',
        type=int,
        default=100,
        help='steps of the published procedure that are run; 1000 are extrapolated from them (100)',
    )
    parser.add_argument(
        '--batch-size', type=int, default=1, help='images fitted, or trained on, at once (1)'
    )
    parser.add_argument('--repeats', type=int, default=1, help='runs for each size (1)')
    parser.add_argument('--json', type=Path, help='file for the figures')
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure what the command line asks for; returns the exit status."""
    options = parse_args(arguments)
    report = {}

    def add(name: str, rows: list[dict]) -> None:
        """Show a part, and keep it whatever becomes of the next."""
        report[name] = rows
        if len(rows) == 1:
            rows = [{'': key, 'value': value} for key, value in rows[0].items()]
        print(f'\n{name}\n{tabulate(rows)}', flush=True)
        if options.json:
            with atomic_write(options.json) as temporary:
                temporary.write_text(json.dumps(report, indent=1) + '\n')

    try:
        add('machine', [describe_machine(options.device)])
        if 'images' in options.parts:
            rows = isolated(measure_published, options)
            for batch_size in sorted({1, options.batch_size}):
                rows.append(isolated(measure_project, options, batch_size))
            slow = next(row for row in rows if row['iterations'] == PUBLISHED_ITERATIONS)
            for row in rows:
                row['times_faster'] = slow['seconds'] / row['seconds']
            add('images', rows)
        if 'sizes' in options.parts:
            add('sizes', [isolated(measure_size, options, size) for size in MEGAPIXELS])
        if 'training' in options.parts:
            add('training', isolated(measure_training, options))
        if 'roofline' in options.parts:
            add('roofline', [isolated(measure_roofline, options)])
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())

"""Seconds, memory and region metrics, compared with the published procedure; and by image size."""

import argparse
import copy
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from meters import MemoryPeak, seconds_of, synchronize
from PIL import Image
from published import PUBLISHED_ITERATIONS, fit_as_published
from sklearn.datasets import load_sample_image

from dynaseg.api import load_predictor
from dynaseg.core import ResponseNetwork
from dynaseg.core.metrics.regions import region_statistics, summarize_regions
from dynaseg.core.normalization import Normalization
from dynaseg.core.process import reused_memory
from dynaseg.device import find_device
from dynaseg.io.files import take_evenly
from dynaseg.io.reading import read_image
from dynaseg.mmseg.datasets.bsds import read_bsds_annotations
from dynaseg.predictor import Segmentation


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
        images.append((read_image(file), read_bsds_annotations(str(annotations))))
    return images


def metrics_of(label_maps: list, images: list) -> dict[str, float]:
    """Compute region metrics of label maps, and the seconds that they take per image."""
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
    device = find_device(options.device)
    torch.manual_seed(0)
    start_network = ResponseNetwork().to(device)
    keep = sorted({min(50, options.published_iterations), options.published_iterations})
    peak = MemoryPeak(device)
    label_maps = {step: [] for step in keep}
    seconds, steps = 0.0, 0
    for number, (image, _) in enumerate(images):
        network = copy.deepcopy(start_network).train()
        img = Normalization()(torch.from_numpy(image).permute(2, 0, 1)[None].to(device))
        synchronize(device)
        start = time.perf_counter()
        with reused_memory():  # a setting of the C library, not of the procedure: both use it
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
    """Measure the project on the images, from pixels to labels."""
    images = load_images(options)
    predictor, _ = load_predictor(options.config, device=options.device)
    device = find_device(options.device)
    pixels = [image for image, _ in images]
    peak = MemoryPeak(device)
    # Both orientations once beforehand: kernels are compiled for each shape.
    predictor(list({image.shape: image for image in pixels}.values()))
    synchronize(device)
    start = time.perf_counter()
    segmentations = [
        segmentation
        for first in range(0, len(pixels), batch_size)
        for segmentation in predictor(pixels[first : first + batch_size])
    ]
    synchronize(device)
    seconds = (time.perf_counter() - start) / len(images)
    steps = [0 if one.fit is None else one.fit.iterations for one in segmentations]
    return {
        'procedure': f'DynaSeg, {batch_size} at once' if batch_size > 1 else 'DynaSeg',
        'iterations': float(np.mean(steps)),
        'seconds': seconds,
        'mib': peak.mib(),
        **metrics_of([labels_of(one) for one in segmentations], images),
    }


def labels_of(segmentation: Segmentation) -> np.ndarray:
    """Get the regions at detail .5 if there is a hierarchy, otherwise the clusters."""
    if segmentation.hierarchy is not None:
        return segmentation.hierarchy.regions()
    return segmentation.labels


def measure_size(options: argparse.Namespace, megapixels: float) -> dict:
    """Measure the project on a photograph resized to a number of megapixels."""
    photo = Image.fromarray(load_sample_image('china.jpg'))
    scale = math.sqrt(megapixels * 1e6 / (photo.width * photo.height))
    size = round(photo.width * scale), round(photo.height * scale)
    small = np.asarray(photo.resize((240, 160)))
    image = np.asarray(photo.resize(size, Image.Resampling.BICUBIC))
    predictor, _ = load_predictor(options.config, device=options.device)
    device = find_device(options.device)
    predictor([small])
    peak = MemoryPeak(device)
    seconds = seconds_of(lambda: predictor([image]), device, repeats=options.repeats)
    return {
        'megapixels': megapixels,
        'seconds': seconds,
        'seconds_a_megapixel': seconds / megapixels,
        'mib': peak.mib(),
    }

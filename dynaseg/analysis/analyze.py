import csv
import json
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from mmcv import Config
from mmseg.datasets import build_dataset
from PIL import Image

from dynaseg.analysis.page import draw_confusion, render_analysis
from dynaseg.analysis.probe import evaluate_probe, load_inputs, train_probe
from dynaseg.core.metrics.clusters import (
    ClassMetrics,
    class_metrics,
    match_hungarian,
    match_majority,
    sum_tables,
)
from dynaseg.io.files import atomic_write, take_evenly
from dynaseg.io.palette import distinct_palette
from dynaseg.io.reading import read_image
from dynaseg.mmseg.build import build_segmentor_from, load_config
from dynaseg.mmseg.datasets.cluster_evaluation import ClusterEvaluationMixin

UNMATCHED, IGNORED = (200, 200, 200), (0, 0, 0)
PANEL_WIDTH = 480


def analyze_clusters(
    config: str | PathLike | Config,
    checkpoint: str | PathLike | None = None,
    out_dir: str | PathLike = 'analysis',
    device: str | torch.device | None = None,
    seed: int = 0,
    num_pictures: int = 12,
    probe_pixels: int = 0,
) -> dict:
    """Show what the clusters of a trained segmentor hold, against the classes of ``data.test``.

    In ``out_dir``: ``clusters.json``, the figures and a record a cluster; ``confusion.csv``, the
    pixels of every cluster (rows) in every class (columns); ``confusion.png``, the same as shares
    of the clusters; ``pictures/``, test images beside their clusters, the classes these are matched
    to and the true ones; ``index.html``, a page of it all.

    Args:
        config: path of a config, a name under DynaSeg's ``configs/``, or a loaded config.
        checkpoint: file with trained weights; fresh ones, drawn from ``seed``, where None.
        out_dir: folder for the outputs; it is made.
        device: such as ``'cpu'`` or ``'cuda:1'``; the GPU where None and there is one.
        seed: seed of fresh weights and of the probe's pixels, at least 0.
        num_pictures: test images that are drawn, evenly spaced.
        probe_pixels: if positive, that many labelled pixels of ``data.train`` train a logistic
            regression on the frozen features, as in the linear probe of self-supervised learning.
            It uses labels, so its figures stand under their own name.

    Returns:
        What ``clusters.json`` holds. ``figures`` has the figures of each protocol by name:
        ``hungarian`` (clusters one to one with classes, once for the set), ``majority`` (each
        cluster has its most frequent class: over-clustering, where clusters outnumber classes) and,
        if asked for, ``linear_probe``.

    Raises:
        FileNotFoundError: if the config, the checkpoint or the data are not there.
        ValueError: if a setting is unfit, or ``data.test`` has no classes to compare with.
    """
    for name, value in (('num_pictures', num_pictures), ('probe_pixels', probe_pixels)):
        if value < 0:
            raise ValueError(f'{name} must be at least 0, got {value}')
    config = load_config(config)
    data = config.get('data', {})
    if 'test' not in data or (probe_pixels and 'train' not in data):
        raise ValueError(f'{config.filename}: expected data.test (and data.train for the probe)')
    dataset = _build(data.test, data.test)
    train_set = _build(data.train, data.test) if probe_pixels else None
    segmentor = build_segmentor_from(config, checkpoint, device, seed)

    chosen = take_evenly(list(range(len(dataset))), num_pictures) if num_pictures else []
    tables, drawn = [], {}
    for index, data in enumerate(load_inputs(segmentor, dataset)):
        with torch.no_grad():
            (labels,) = segmentor(return_loss=False, **data)
        tables += [counts.table for counts in dataset.pre_eval([labels], [index])]
        if index in chosen:
            drawn[index] = labels.astype(np.int16)
    table = sum_tables([np.zeros((segmentor.num_classes, len(dataset.CLASSES)), int), *tables])
    matched = match_hungarian(table)
    figures = {
        'hungarian': class_metrics(table, matched),
        'majority': class_metrics(table, match_majority(table)),
    }
    if train_set is not None:
        probe = train_probe(segmentor, train_set, probe_pixels, seed)
        figures['linear_probe'] = evaluate_probe(segmentor, dataset, probe)

    names = list(dataset.CLASSES)
    analysis = {
        'config': Path(config.filename or 'given in Python').name,
        'checkpoint': None if checkpoint is None else Path(checkpoint).name,
        'dataset': type(dataset).__name__,
        'images': len(dataset),
        'empty_clusters': int((table.sum(axis=1) == 0).sum()),
        'figures': {name: _name_figures(metrics, names) for name, metrics in figures.items()},
        'clusters': _describe_clusters(table, tables, matched, names),
    }
    out_dir = Path(out_dir)
    pictures = _draw_pictures(dataset, drawn, matched, out_dir)
    _write_table(table, matched, names, out_dir / 'confusion.csv')
    with atomic_write(out_dir / 'confusion.png') as temporary:
        draw_confusion(table, matched, names, temporary)
    with atomic_write(out_dir / 'clusters.json') as temporary:
        temporary.write_text(json.dumps(analysis, indent=1), 'utf-8')
    with atomic_write(out_dir / 'index.html') as temporary:
        page = render_analysis(analysis, distinct_palette(len(table)).tolist(), pictures)
        temporary.write_text(page, 'utf-8')
    return analysis


def _draw_pictures(
    dataset: ClusterEvaluationMixin,
    drawn: dict[int, np.ndarray],
    matched: np.ndarray,
    out_dir: Path,
) -> dict[str, str]:
    """Draw images beside their label maps; returns the files below ``out_dir``, by image name."""
    clusters = distinct_palette(len(matched))
    palette = dataset.PALETTE or distinct_palette(len(dataset.CLASSES)).tolist()
    classes = np.array([*palette, UNMATCHED], np.uint8)  # -1, the last, is unmatched
    truths = np.full((256, 3), IGNORED, np.uint8)
    truths[: len(palette)] = palette
    truths[dataset.ignore_index] = IGNORED
    pictures = {}
    for number, (index, labels) in enumerate(drawn.items()):
        name = dataset.img_infos[index]['filename']
        panels = [
            dataset.crop_as_evaluated(read_image(Path(dataset.img_dir or '', name)), 'bilinear'),
            clusters[labels],
            classes[matched[labels]],
            truths[dataset.read_classes(index)],
        ]
        pictures[name] = f'pictures/{number:03d}.png'
        with atomic_write(out_dir / pictures[name]) as temporary:
            Image.fromarray(_join(panels)).save(temporary, 'PNG')
    return pictures


def _write_table(table: np.ndarray, matched: np.ndarray, names: list[str], path: Path) -> None:
    with (
        atomic_write(path) as temporary,
        open(temporary, 'w', newline='', encoding='utf-8') as file,
    ):
        writer = csv.writer(file)
        writer.writerow(['cluster', 'matched', *names])
        for cluster, row in enumerate(table.tolist()):
            label = names[matched[cluster]] if matched[cluster] >= 0 else ''
            writer.writerow([cluster, label, *row])


def _build(subset: Config, test: Config) -> ClusterEvaluationMixin:
    """Build a data set whose images come through the pipeline of the tests."""
    dataset = build_dataset({**subset, 'pipeline': test.pipeline, 'test_mode': True})
    if not isinstance(dataset, ClusterEvaluationMixin):
        raise ValueError(
            f'{type(dataset).__name__} has no classes to compare clusters with: expected a data '
            'set that evaluates clusters, such as ClusterCustomDataset'
        )
    return dataset


def _name_figures(metrics: ClassMetrics, names: list[str]) -> dict[str, object]:
    return {
        'aAcc': metrics.accuracy,
        'mIoU': metrics.mean_iou,
        'mAcc': metrics.mean_recall,
        'IoU': {
            name: None if np.isnan(iou) else float(iou)
            for name, iou in zip(names, metrics.iou, strict=True)
        },
    }


def _describe_clusters(
    table: np.ndarray, tables: list[np.ndarray], matched: np.ndarray, names: list[str]
) -> list[dict]:
    """Describe each cluster by what it holds of the labelled pixels."""
    total = max(table.sum(), 1)
    records = []
    for cluster, row in enumerate(table):
        pixels = int(row.sum())
        order = [index for index in np.argsort(-row, kind='stable') if row[index]]
        records.append(
            {
                'cluster': cluster,
                'matched': names[matched[cluster]] if matched[cluster] >= 0 else None,
                'pixels': pixels,
                'share': pixels / total,
                'images': sum(len(one) > cluster and bool(one[cluster].any()) for one in tables),
                'classes': {names[index]: float(row[index] / pixels) for index in order},
            }
        )
    return records


def _join(panels: list[np.ndarray]) -> np.ndarray:
    """Scale pictures, RGB, (H, W, 3), to one size and set them side by side."""
    height, width = panels[0].shape[:2]
    size = (PANEL_WIDTH, max(1, round(PANEL_WIDTH * height / width)))
    photograph = Image.fromarray(panels[0]).resize(size, Image.Resampling.LANCZOS)
    maps = [Image.fromarray(panel).resize(size, Image.Resampling.NEAREST) for panel in panels[1:]]
    gap = np.full((size[1], 6, 3), 255, np.uint8)
    joined = [np.asarray(photograph)]
    for one in maps:
        joined += [gap, np.asarray(one)]
    return np.hstack(joined)

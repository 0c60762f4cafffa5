"""The clusters of a segmentor against the classes of a data set with labels."""

import csv
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dynaseg.analysis.page import draw_confusion, render_analysis
from dynaseg.analysis.probe import LinearProbe, evaluate_probe, load_inputs
from dynaseg.core.metrics.clusters import (
    ClassMetrics,
    class_metrics,
    match_hungarian,
    match_majority,
    sum_tables,
)
from dynaseg.io.files import atomic_write, take_evenly, write_file
from dynaseg.io.palette import distinct_palette
from dynaseg.io.reading import read_image
from dynaseg.mmseg.datasets.cluster_evaluation import ClusterEvaluationMixin
from dynaseg.mmseg.models import DynaSeg

UNMATCHED, IGNORED = (200, 200, 200), (0, 0, 0)
PANEL_WIDTH = 480


class Comparison:
    """Compares clusters with classes, and writes the results.

    Args:
        segmentor: in evaluation mode.
        dataset: with masks and a test pipeline.
        num_pictures: number of images to draw, evenly spaced.
        probe: trained on the segmentor's features, if there is one.

    Attributes:
        analysis: the figures of each protocol, and what each cluster holds.
    """

    def __init__(
        self,
        segmentor: DynaSeg,
        dataset: ClusterEvaluationMixin,
        num_pictures: int = 12,
        probe: LinearProbe | None = None,
    ) -> None:
        classes = list(dataset.CLASSES)
        chosen = take_evenly(list(range(len(dataset))), num_pictures) if num_pictures else []
        tables, self.drawn = [], {}
        for index, data in enumerate(load_inputs(segmentor, dataset)):
            with torch.no_grad():
                (labels,) = segmentor(return_loss=False, **data)
            tables += [counts.table for counts in dataset.pre_eval([labels], [index])]
            if index in chosen:
                self.drawn[index] = labels.astype(np.int16)
        self.dataset = dataset
        self.table = sum_tables([np.zeros((segmentor.num_classes, len(classes)), int), *tables])
        self.matched = match_hungarian(self.table)
        figures = {
            'hungarian': class_metrics(self.table, self.matched),
            'majority': class_metrics(self.table, match_majority(self.table)),
        }
        if probe is not None:
            figures['linear_probe'] = evaluate_probe(segmentor, dataset, probe)
        self.analysis = {
            'dataset': type(dataset).__name__,
            'images': len(dataset),
            'empty_clusters': int((self.table.sum(axis=1) == 0).sum()),
            'figures': {name: _name_figures(one, classes) for name, one in figures.items()},
            'clusters': _describe_clusters(self.table, tables, self.matched, classes),
        }

    def write(self, out_dir: Path, analysis: dict) -> None:
        """Write the table, the pictures and a page with them.

        Args:
            out_dir: the folder.
            analysis: what :attr:`analysis` holds, and where it comes from.
        """
        classes = list(self.dataset.CLASSES)
        pictures = _draw_pictures(self.dataset, self.drawn, self.matched, out_dir)
        _write_table(self.table, self.matched, classes, out_dir / 'confusion.csv')
        with atomic_write(out_dir / 'confusion.png') as temporary:
            draw_confusion(self.table, self.matched, classes, temporary)
        colours = distinct_palette(len(self.table)).tolist()
        write_file(out_dir / 'index.html', render_analysis(analysis, colours, pictures))


def _draw_pictures(
    dataset: ClusterEvaluationMixin,
    drawn: dict[int, np.ndarray],
    matched: np.ndarray,
    out_dir: Path,
) -> dict[str, str]:
    """Draw images beside their label maps; returns the files below ``out_dir``, by image name."""
    clusters = distinct_palette(len(matched))
    palette = dataset.PALETTE  # lists or, where MMSegmentation draws one at random, an array
    if palette is None:
        palette = distinct_palette(len(dataset.CLASSES))
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
    """Describe each cluster by the labelled pixels it holds."""
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

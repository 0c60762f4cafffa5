from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from mmcv.parallel import scatter
from mmseg.datasets import build_dataloader
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from dynaseg.core.metrics.clusters import (
    ClassMetrics,
    class_metrics,
    contingency_table,
    sum_tables,
)
from dynaseg.mmseg.datasets.cluster_evaluation import ClusterEvaluationMixin
from dynaseg.mmseg.models import DynaSeg


@dataclass(frozen=True)
class LinearProbe:
    """A linear classifier of features: scores are ``weight @ feature + bias``.

    Attributes:
        weight: (K, C), one row per class of the training pixels.
        bias: (K,).
        classes: the class of each row, (K,).
    """

    weight: Tensor
    bias: Tensor
    classes: np.ndarray


@torch.no_grad()
def train_probe(
    segmentor: DynaSeg, dataset: ClusterEvaluationMixin, num_pixels: int, seed: int = 0
) -> LinearProbe:
    """Train a logistic regression from the frozen features to the classes.

    Args:
        segmentor: its features, as the head sees them, are standardised.
        dataset: images and classes, with a test pipeline.
        num_pixels: number of labelled pixels to draw, equally many from each image.
        seed: seed of the draw.

    Returns:
        The probe, which takes features that are not standardised.

    Raises:
        ValueError: if the pixels have fewer than two classes.
    """
    rng = np.random.default_rng(seed)
    size = -(-num_pixels // len(dataset))
    drawn, truths = [], []
    for index, data in enumerate(load_inputs(segmentor, dataset)):
        features = segmentor.features(data['img'][0])[0].cpu()
        truth = dataset.read_classes(index)
        height, width = features.shape[1:]
        rows = ((np.arange(height) + 0.5) * truth.shape[0] / height).astype(int)
        columns = ((np.arange(width) + 0.5) * truth.shape[1] / width).astype(int)
        truth = truth[np.ix_(rows, columns)].ravel()
        labelled = np.flatnonzero(truth != dataset.ignore_index)
        labelled = rng.choice(labelled, min(size, len(labelled)), replace=False)
        drawn.append(features.flatten(1).T[labelled].numpy())
        truths.append(truth[labelled])
    truths = np.concatenate(truths)
    if len(np.unique(truths)) < 2:
        raise ValueError(f'{type(dataset).__name__}: the labelled pixels have fewer than 2 classes')
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
    pipeline.fit(np.concatenate(drawn), truths)
    scaler, classifier = pipeline[0], pipeline[1]
    weight, bias = classifier.coef_, classifier.intercept_
    if len(weight) == 1:  # two classes: scikit-learn keeps only the second one's scores
        weight, bias = np.vstack([-weight, weight]) / 2, np.array([-bias[0], bias[0]]) / 2
    weight = weight / scaler.scale_
    bias = bias - weight @ scaler.mean_
    return LinearProbe(
        torch.from_numpy(weight).float(), torch.from_numpy(bias).float(), classifier.classes_
    )


@torch.no_grad()
def evaluate_probe(
    segmentor: DynaSeg, dataset: ClusterEvaluationMixin, probe: LinearProbe
) -> ClassMetrics:
    """Evaluate a linear probe on images: its scores are interpolated bilinearly to their size."""
    num_classes = len(dataset.CLASSES)
    tables = []
    for index, data in enumerate(load_inputs(segmentor, dataset)):
        features = segmentor.features(data['img'][0])[0].cpu()
        truth = dataset.read_classes(index)
        scores = torch.einsum('kc,chw->khw', probe.weight, features) + probe.bias[:, None, None]
        scores = F.interpolate(scores[None], truth.shape, mode='bilinear', align_corners=False)[0]
        predicted = probe.classes[scores.argmax(dim=0).numpy()]
        tables.append(contingency_table(predicted, truth, num_classes, dataset.ignore_index))
    table = sum_tables(tables)
    return class_metrics(table, np.arange(len(table)))


def load_inputs(segmentor: DynaSeg, dataset: ClusterEvaluationMixin) -> Iterator[dict]:
    """Load every image of a data set with a test pipeline, on the segmentor's device.

    Yields:
        ``img``, a list of a tensor (1, 3, H, W) for each augmentation, and ``img_metas``.
    """
    device = next(segmentor.parameters()).device
    target = -1 if device.type == 'cpu' else device.index or 0
    loader = build_dataloader(
        dataset, samples_per_gpu=1, workers_per_gpu=1, dist=False, shuffle=False
    )
    for data in loader:
        yield scatter(data, [target])[0]

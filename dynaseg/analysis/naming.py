import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from mmseg.datasets import build_dataset
from torch.utils.data import Subset

from dynaseg.analysis.probe import load_inputs
from dynaseg.core.metrics.clusters import match_naming, sum_tables
from dynaseg.io.names import ClusterNames, read_names
from dynaseg.mmseg.configs import Config
from dynaseg.mmseg.datasets.cluster_evaluation import ClusterEvaluationMixin
from dynaseg.mmseg.models import DynaSeg

MADE_FROM = re.compile(r'labels of \d+ of \d+ training images')  # what a person edits says more


def name_by_labels(segmentor: DynaSeg, config: Config, every: int = 3) -> ClusterNames:
    """Name clusters by labels of training images, so that those images are labelled best.

    Every ``every``-th image of ``data.train``, starting with the first, is labelled as in tests,
    but without refinement, which takes time and only moves borders. The names aim at the highest
    mIoU + accuracy there (:func:`~dynaseg.core.metrics.match_naming`).
    Clusters that hold none of their labelled pixels get no name.

    Args:
        segmentor: the trained segmentor, in evaluation mode.
        config: its config, with ``data.train`` and the pipeline of ``data.test``.
        every: 1 takes all images.

    Returns:
        The names, which record what they were made from.

    Raises:
        ValueError: if ``every`` is not positive, or ``data.train`` has no classes.
    """
    if every < 1:
        raise ValueError(f'every must be at least 1, got {every}')
    dataset = build_evaluated(config, 'train')
    chosen = range(0, len(dataset), every)
    with segmentor.unrefined():
        assignment = match_naming(count_clusters(segmentor, dataset, chosen))
    classes = [name.strip() for name in dataset.CLASSES]  # ADE20K has 'bed '
    names = {cluster: classes[kind] for cluster, kind in enumerate(assignment) if kind >= 0}
    return ClusterNames(names, f'labels of {len(chosen)} of {len(dataset)} training images')


def check_replaceable(path: Path) -> None:
    """Check that a file of names is absent, or was made by :func:`name_by_labels`.

    Raises:
        ValueError: if it is there and was not, or does not say so.
    """
    if not path.exists():
        return
    with suppress(ValueError):
        if MADE_FROM.fullmatch(read_names(path).made_from):
            return
    raise ValueError(
        f'{path} was not made from labels, and names from labels would replace it: move it, or '
        'choose another folder (--out-dir)'
    )


def build_evaluated(config: Config, key: str) -> ClusterEvaluationMixin:
    """Build a data set of a config with its masks, and the pipeline and crop of ``data.test``.

    Args:
        config: the config.
        key: ``'train'``, ``'val'`` or ``'test'``.

    Returns:
        The data set.

    Raises:
        ValueError: if it has no classes to compare clusters with.
    """
    subset, test = config.data[key], config.data.test
    as_tested = {'pipeline': test.pipeline, 'test_mode': True}
    if 'evaluation_crop' in test and test.type == subset.type:
        as_tested['evaluation_crop'] = test.evaluation_crop
    dataset = build_dataset({**subset, **as_tested})
    if not isinstance(dataset, ClusterEvaluationMixin):
        raise ValueError(
            f'data.{key}: {type(dataset).__name__} has no masks and classes to compare clusters '
            'with: expected a data set that evaluates clusters, such as LabelledFolderDataset, '
            'with ann_dir and classes'
        )
    return dataset


@torch.no_grad()
def count_clusters(
    segmentor: DynaSeg, dataset: ClusterEvaluationMixin, indices: Iterable[int] | None = None
) -> np.ndarray:
    """Count the pixels of every cluster in every class, labelling images as tests do.

    Args:
        segmentor: in evaluation mode.
        dataset: with masks and a test pipeline.
        indices: of the images; all by default.

    Returns:
        The contingency table, (num_classes of the segmentor, C).
    """
    indices = list(range(len(dataset)) if indices is None else indices)
    tables = [np.zeros((segmentor.num_classes, len(dataset.CLASSES)), np.int64)]
    inputs = load_inputs(segmentor, Subset(dataset, indices))
    for index, data in zip(indices, inputs, strict=True):
        (labels,) = segmentor(return_loss=False, **data)
        tables += [counts.table for counts in dataset.pre_eval([labels], [index])]
    return sum_tables(tables)

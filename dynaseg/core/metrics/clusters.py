"""Matching clusters to classes, and the semantic metrics of the matched clusters.

Everything starts from a contingency table: entry (k, c) counts the pixels of cluster k whose class
is c.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

MAX_CLUSTERS = 2**16  # more is no segmentation, and the table would fill the memory


def contingency_table(
    clusters: np.ndarray, classes: np.ndarray, num_classes: int, ignore_index: int = 255
) -> np.ndarray:
    """Count the pixels of every cluster in every class.

    Args:
        clusters: cluster of each pixel, non-negative integers, any shape.
        classes: class of each pixel, of the same shape.
        num_classes: number of classes.
        ignore_index: the class of the pixels that are ignored.

    Returns:
        Counts, int64, (largest cluster + 1, num_classes).

    Raises:
        ValueError: if the shapes differ, values are not integers, a cluster is negative or not
            below 65,536, or a class is neither below ``num_classes`` nor ignored.

    Examples:
        >>> contingency_table(np.array([0, 0, 1]), np.array([1, 255, 0]), num_classes=2)
        array([[0, 1],
               [1, 0]])
    """
    clusters, classes = np.asarray(clusters), np.asarray(classes)
    if clusters.shape != classes.shape:
        raise ValueError(
            f'clusters and classes must have the same shape, '
            f'got {clusters.shape} and {classes.shape}'
        )
    for name, values in (('clusters', clusters), ('classes', classes)):
        if values.size and values.dtype.kind not in 'iub':
            raise ValueError(f'{name} must be integers, got {values.dtype}')
    low, high = (int(clusters.min()), int(clusters.max())) if clusters.size else (0, -1)
    if low < 0 or high >= MAX_CLUSTERS:
        raise ValueError(f'clusters must lie in [0, {MAX_CLUSTERS}), got {low} to {high}')
    num_clusters = high + 1
    valid = classes != ignore_index
    clusters, classes = clusters[valid].astype(np.int64), classes[valid].astype(np.int64)
    unknown = np.setdiff1d(classes, np.arange(num_classes))
    if unknown.size:
        raise ValueError(
            f'classes must lie in [0, {num_classes}) or be {ignore_index}, got {unknown.tolist()}'
        )
    counts = np.bincount(clusters * num_classes + classes, minlength=num_clusters * num_classes)
    return counts.reshape(num_clusters, num_classes)


def sum_tables(tables: Sequence[np.ndarray]) -> np.ndarray:
    """Add contingency tables whose numbers of clusters may differ.

    Args:
        tables: counts, each (K_i, C).

    Returns:
        Their sum, (max K_i, C).

    Raises:
        ValueError: if there is none, or their numbers of classes differ.
    """
    if not len(tables):
        raise ValueError('expected at least one table, got none')
    widths = {table.shape[1] for table in tables}
    if len(widths) > 1:
        raise ValueError(f'tables must have the same number of classes, got {sorted(widths)}')
    total = np.zeros((max(map(len, tables)), tables[0].shape[1]), dtype=np.int64)
    for table in tables:
        total[: len(table)] += table
    return total


def match_hungarian(table: np.ndarray) -> np.ndarray:
    """Match clusters to classes one to one, maximising the number of correct pixels.

    Classes without pixels are left out: a cluster matched to one would be wasted.

    Args:
        table: contingency table, (K, C).

    Returns:
        The class of each cluster, or -1 for the clusters left over, int64, (K,).

    Examples:
        >>> match_hungarian(np.array([[1, 9], [5, 8], [2, 0]]))
        array([ 1,  0, -1])
    """
    assignment = np.full(len(table), -1)
    present = np.flatnonzero(table.sum(axis=0))
    rows, columns = linear_sum_assignment(table[:, present], maximize=True)
    assignment[rows] = present[columns]
    return assignment


def match_majority(table: np.ndarray) -> np.ndarray:
    """Give every cluster the most frequent class of its pixels; several may share a class.

    Args:
        table: contingency table, (K, C).

    Returns:
        The class of each cluster, or -1 for clusters without a labelled pixel, int64, (K,).

    Examples:
        >>> match_majority(np.array([[1, 9], [5, 8], [0, 0]]))
        array([ 1,  1, -1])
    """
    return np.where(table.sum(axis=1) > 0, table.argmax(axis=1), -1)


def match_naming(table: np.ndarray) -> np.ndarray:
    """Give every cluster a class such that mIoU + accuracy is high; several may share a class.

    By majority alone, a rare class dominates no cluster and has no correct pixels. So, starting
    from the majority, each cluster in turn takes that of its classes (which its pixels have) that
    gives the highest sum, until none changes.

    Args:
        table: contingency table, (K, C).

    Returns:
        The class of each cluster, or -1 for clusters without a labelled pixel, int64, (K,).

    Examples:
        >>> table = np.array([[90, 0], [10, 8]])
        >>> match_majority(table), match_naming(table)
        (array([0, 0]), array([0, 1]))
    """

    def score(assignment: np.ndarray) -> float:
        metrics = class_metrics(table, assignment)
        return metrics.mean_iou + metrics.accuracy

    assignment = match_majority(table)
    best, previous = score(assignment), None
    while not np.array_equal(assignment, previous):
        previous = assignment.copy()
        for cluster in np.flatnonzero(assignment >= 0):
            for kind in np.flatnonzero(table[cluster]):
                trial = assignment.copy()
                trial[cluster] = kind
                reached = score(trial)
                if reached > best:
                    assignment, best = trial, reached
    return assignment


@dataclass(frozen=True)
class ClassMetrics:
    """Metrics of matched clusters, as fractions; NaN for a class without pixels.

    Attributes:
        accuracy: share of all labelled pixels whose cluster is matched to their class (aAcc).
        iou: intersection over union of each class, (C,).
        recall: share of each class's pixels that are correct (mAcc is its mean), (C,).
    """

    accuracy: float
    iou: np.ndarray
    recall: np.ndarray

    @property
    def mean_iou(self) -> float:
        """Mean IoU over the classes present."""
        return nan_mean(self.iou)

    @property
    def mean_recall(self) -> float:
        """Mean accuracy over the classes present."""
        return nan_mean(self.recall)


def class_metrics(table: np.ndarray, assignment: np.ndarray) -> ClassMetrics:
    """Compute the metrics of clusters matched to classes.

    Pixels of a cluster without a class are wrong: their class misses them, and no other gets them.

    Args:
        table: contingency table, (K, C).
        assignment: the class of each cluster, or -1, (K,).

    Returns:
        The metrics. A class without labelled pixels is NaN, since there is nothing to find.
    """
    num_classes = table.shape[1]
    confusion = np.zeros((num_classes, num_classes), dtype=np.int64)
    matched = assignment >= 0
    np.add.at(confusion, assignment[matched], table[matched])
    right = confusion.diagonal()
    truth, predicted = table.sum(axis=0), confusion.sum(axis=1)
    with np.errstate(invalid='ignore', divide='ignore'):
        accuracy = right.sum() / truth.sum()
        iou = np.where(truth > 0, right / (truth + predicted - right), np.nan)
        recall = right / truth
    return ClassMetrics(float(accuracy), iou, recall)


def nan_mean(values: np.ndarray) -> float:
    """Average the values that are not NaN; NaN if there are none."""
    values = np.asarray(values)[~np.isnan(values)]
    return float(values.mean()) if values.size else float('nan')

"""Region metrics: how well the segments of a segmentation agree with those that people drew.

Segments have no classes here, and an image may have several annotations. Everything is computed
from one sparse contingency table per annotation: entry (k, s) counts the pixels of predicted
segment k that lie in ground-truth segment s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy import sparse
from scipy.special import xlogy

from dynaseg.core.labels import check_label_map, connected_components
from dynaseg.core.metrics.clusters import nan_mean

REGION_METRICS = ('mIoU', 'mIoU_fine', 'mIoU_coarse', 'covering', 'PRI', 'VoI', 'components')


@dataclass(frozen=True)
class RegionStatistics:
    """What one image contributes to the region metrics of a data set.

    Attributes:
        segment_ious: for each annotation the IoU of its segments, each with the predicted segment
            that overlaps it best, fractions, (S_a,).
        coverings: covering of each annotation by the prediction, fractions, (A,).
        rand_indices: Rand index of the prediction and each annotation, fractions, (A,).
        variations: variation of information between the two, bits, (A,).
        num_components: predicted segments in the image.
    """

    segment_ious: tuple[np.ndarray, ...]
    coverings: np.ndarray
    rand_indices: np.ndarray
    variations: np.ndarray
    num_components: int


def region_statistics(
    labels: np.ndarray,
    annotations: Sequence[np.ndarray],
    ignore_index: int | None = None,
    components: bool = True,
) -> RegionStatistics:
    """Compare the segmentation of an image with its annotations.

    For ground-truth segments G and predicted segments P, on the N counted pixels:

    - the IoU of a segment is max_P |G & P| / |G | P|;
    - the covering is sum_G |G| / N IoU(G) (Arbelaez et al., TPAMI 2011, equation 8);
    - the Rand index is the share of pixel pairs that both join or both separate;
    - the variation of information is H(G | P) + H(P | G), with logarithms to base 2 as in the
      benchmark's own code.

    Args:
        labels: predicted label of each pixel, integers, (H, W).
        annotations: segment of each pixel, one map for each annotator, integers, each (H, W).
        ignore_index: segment whose pixels are ignored, even in the areas of predicted segments;
            None to count all. An annotation without counted pixels is left out.
        components: whether a predicted segment is a connected component of a label, which is the
            protocol, or the whole label.

    Returns:
        The statistics, for :func:`summarize_regions`.

    Raises:
        ValueError: if there is no annotation, or a map is not of integers or has another shape.

    Examples:
        >>> statistics = region_statistics(np.array([[0, 0, 1, 0]]), [np.array([[1, 1, 1, 2]])])
        >>> statistics.segment_ious[0].round(3)
        array([0.667, 1.   ])
        >>> statistics.coverings, statistics.num_components
        (array([0.75]), 3)
    """
    labels = check_label_map(labels, 'labels')
    if components:
        predicted = connected_components(labels).ravel()
    else:
        predicted = np.unique(labels.ravel(), return_inverse=True)[1]
    num_components = int(predicted.max()) + 1
    if not len(annotations):
        raise ValueError('expected at least one annotation, got none')
    compared = []
    for number, annotation in enumerate(annotations, start=1):
        annotation = check_label_map(annotation, f'annotation {number}')
        if annotation.shape != labels.shape:
            raise ValueError(
                f'labels and annotation {number} must have the same shape, '
                f'got {labels.shape} and {annotation.shape}'
            )
        counted = slice(None) if ignore_index is None else annotation.ravel() != ignore_index
        truth = np.unique(annotation.ravel()[counted], return_inverse=True)[1]
        if truth.size:
            compared.append(_compare(predicted[counted], truth, num_components))
    ious, *scores = zip(*compared, strict=True) if compared else ((), (), (), ())
    return RegionStatistics(ious, *map(np.array, scores), num_components)


def summarize_regions(statistics: Sequence[RegionStatistics]) -> dict[str, float]:
    """Turn the statistics of all images into the metrics of the data set.

    Args:
        statistics: of each image, as :func:`region_statistics` returns them.

    Returns:
        ``mIoU``, ``mIoU_fine`` and ``mIoU_coarse``: best-overlap IoU, averaged over the segments
        of the whole set, of all annotations, of each image's annotation with the most segments and
        of that with the fewest (the first if there are several; Kim et al., TIP 2020).
        ``covering``, ``PRI`` (probabilistic Rand index) and ``VoI`` (variation of information,
        bits; lower is better): mean over an image's annotations, then over the images.
        ``components``: mean number of predicted segments per image.

    Raises:
        ValueError: if there are no statistics.

    Examples:
        >>> labels = np.array([[0, 0, 1, 1]])
        >>> annotations = [np.array([[1, 1, 1, 2]]), np.array([[1, 1, 1, 1]])]
        >>> metrics = summarize_regions([region_statistics(labels, annotations)])
        >>> {name: round(value, 3) for name, value in metrics.items()}  # doctest: +ELLIPSIS
        {'mIoU': 0.556, 'mIoU_fine': 0.583, 'mIoU_coarse': 0.5, 'covering': 0.562, ...}
    """
    if not len(statistics):
        raise ValueError('there are no region statistics to summarize')
    annotated = [image.segment_ious for image in statistics if image.segment_ious]
    return {
        'mIoU': _pooled_mean(chain.from_iterable(annotated)),
        'mIoU_fine': _pooled_mean(max(ious, key=len) for ious in annotated),
        'mIoU_coarse': _pooled_mean(min(ious, key=len) for ious in annotated),
        'covering': nan_mean([nan_mean(image.coverings) for image in statistics]),
        'PRI': nan_mean([nan_mean(image.rand_indices) for image in statistics]),
        'VoI': nan_mean([nan_mean(image.variations) for image in statistics]),
        'components': nan_mean([float(image.num_components) for image in statistics]),
    }


def _compare(
    predicted: np.ndarray, truth: np.ndarray, num_predicted: int
) -> tuple[np.ndarray, float, float, float]:
    """Compare segments (N,) with compact true ones (N,): IoUs (S,), covering, Rand index, VoI."""
    # With thousands of components nearly all of the table is zero; building it sums duplicates.
    shape = (num_predicted, int(truth.max()) + 1)
    ones = np.ones(len(truth), dtype=np.int64)
    table = sparse.csr_array((ones, (predicted, truth)), shape=shape).tocoo()
    segment, joint = table.col, table.data
    predicted_area, true_area = table.sum(axis=1), table.sum(axis=0)
    iou = joint / (predicted_area[table.row] + true_area[segment] - joint)
    best_iou = np.zeros(len(true_area))
    np.maximum.at(best_iou, segment, iou)
    covering = true_area @ best_iou / len(truth)

    pairs_apart = (predicted_area**2).sum() + (true_area**2).sum() - 2 * (joint**2).sum()
    pairs = len(truth) * (len(truth) - 1)  # ordered, as above; a single pixel agrees with itself
    rand_index = 1 - pairs_apart / max(pairs, 1)

    uncertainty = sum(xlogy(area, area).sum() for area in (predicted_area, true_area))
    variation = (uncertainty - 2 * xlogy(joint, joint).sum()) / len(truth) / np.log(2)
    return best_iou, covering, rand_index, max(variation, 0.0)  # equal maps may round below 0


def _pooled_mean(values: Sequence[np.ndarray]) -> float:
    return nan_mean(np.concatenate([np.zeros(0), *values]))

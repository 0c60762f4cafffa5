"""Metrics of whole hierarchies of regions, at many thresholds at once.

The contingency tables of superpixels and annotations are summed up the tree once; each cut then
selects nodes of it. The statistics of a cut equal those of comparing its label map with the
annotations.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from dynaseg.core.regions.hierarchy import RegionHierarchy


@dataclass(frozen=True)
class HierarchyStatistics:
    """What the cuts of one image's hierarchy contribute to the metrics of a data set.

    Attributes:
        segment_ious: for each annotation the IoU of its segments, each with the region that
            overlaps it best in each of T cuts, fractions, (T, S_a).
        coverings: covering of each annotation, fractions, (T, A).
        rand_indices: Rand index with each annotation, fractions, (T, A).
        variations: variation of information with each annotation, bits, (T, A).
        num_regions: of each cut, (T,).
    """

    segment_ious: tuple[np.ndarray, ...]
    coverings: np.ndarray
    rand_indices: np.ndarray
    variations: np.ndarray
    num_regions: np.ndarray


def hierarchy_statistics(
    hierarchy: RegionHierarchy,
    annotations: Sequence[np.ndarray],
    thresholds: Sequence[float],
    ignore_index: int | None = None,
) -> HierarchyStatistics:
    """Compare the cuts of a hierarchy with the annotations of its image.

    Covering, Rand index and variation of information are those of Arbelaez et al. (TPAMI 2011).

    Args:
        hierarchy: of an image (H, W); its superpixels must be connected, so that the regions of a
            cut are connected components.
        annotations: segment of each pixel, one map for each annotator, integers, each (H, W).
        thresholds: altitudes of the cuts, (T,).
        ignore_index: segment whose pixels are ignored, even in the areas of regions; None to count
            all. An annotation without counted pixels is left out.

    Returns:
        The statistics, for :func:`summarize_hierarchies`.

    Raises:
        ValueError: if there is no annotation or no threshold, or a map has another shape.

    Examples:
        >>> leaves = np.array([[0, 1, 2]], dtype=np.int32)
        >>> parents, altitudes = np.array([3, 3, 4, 4, 4]), np.array([0, 0, 0, 1, 2.0])
        >>> hierarchy = RegionHierarchy(leaves, parents, altitudes)
        >>> statistics = hierarchy_statistics(hierarchy, [np.array([[1, 1, 2]])], [0.5, 1.5])
        >>> statistics.coverings.round(3).tolist(), statistics.num_regions.tolist()
        ([[0.667], [1.0]], [3, 2])
    """
    if not len(annotations) or not len(thresholds):
        raise ValueError(
            f'expected at least one annotation and one threshold, '
            f'got {len(annotations)} and {len(thresholds)}'
        )
    cuts = _select_nodes(hierarchy, np.asarray(thresholds, dtype=float))
    tables = []
    for number, annotation in enumerate(annotations, start=1):
        if annotation.shape != hierarchy.leaves.shape:
            raise ValueError(
                f'hierarchy and annotation {number} must have the same shape, '
                f'got {hierarchy.leaves.shape} and {annotation.shape}'
            )
        counted = slice(None) if ignore_index is None else annotation.ravel() != ignore_index
        truth = _compact(annotation.ravel()[counted])
        if truth.size:
            tables.append(_tabulate(hierarchy, hierarchy.leaves.ravel()[counted], truth))
    ends = np.cumsum([table.shape[1] for table in tables], dtype=int)
    nodes = (
        np.split(hierarchy.add_up(np.concatenate(tables, axis=1)), ends[:-1], axis=1)
        if tables
        else []
    )
    compared = [_compare(table, cuts) for table in nodes]
    ious, *scores = zip(*compared, strict=True) if compared else ((), (), (), ())
    shape = len(thresholds), len(compared)
    scores = [np.reshape(np.stack(score, axis=1) if score else [], shape) for score in scores]
    return HierarchyStatistics(ious, *scores, cuts.sum(axis=1))


def _compact(segments: np.ndarray) -> np.ndarray:
    """Renumber segments, (P,), without gaps, keeping their order."""
    if not segments.size:
        return segments
    lowest, highest = int(segments.min()), int(segments.max())
    if highest - lowest > segments.size:
        return np.unique(segments, return_inverse=True)[1]
    shifted = segments.astype(np.int64) - lowest
    present = np.bincount(shifted) > 0  # ten times faster than sorting
    return (np.cumsum(present) - 1)[shifted]


def _select_nodes(hierarchy: RegionHierarchy, thresholds: np.ndarray) -> np.ndarray:
    """Find the nodes that are the regions of each cut, (T, 2L - 1)."""
    above = hierarchy.altitudes[hierarchy.parents]
    lows = hierarchy.altitudes.copy()
    lows[: hierarchy.num_leaves] = -np.inf  # for a cut below all altitudes
    is_below = above > thresholds[:, None]
    is_below[:, -1] = True  # the whole image is in nothing
    return (lows <= thresholds[:, None]) & is_below


def _tabulate(hierarchy: RegionHierarchy, leaves: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Count the pixels of each leaf in each segment, int64, (L, S)."""
    segments = int(truth.max()) + 1
    counts = np.bincount(
        leaves * np.int64(segments) + truth, minlength=hierarchy.num_leaves * segments
    )
    return counts.reshape(-1, segments)


def _compare(
    tables: np.ndarray, cuts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Compare nodes (N, S) on cuts (T, N): IoUs (T, S), coverings, Rand indices, VoIs (T,)."""
    areas, true_areas = tables.sum(axis=1), tables[-1]
    pixels = int(areas[-1])
    ious = tables / np.maximum(areas[:, None] + true_areas - tables, 1)
    best = np.stack([ious[cut].max(axis=0) for cut in cuts])

    # Integers below 2^53, so that a sum in floating point is exact.
    joint_pairs = cuts @ (tables.astype(float) ** 2).sum(axis=1)
    pairs_apart = cuts @ areas.astype(float) ** 2 + (true_areas**2).sum() - 2 * joint_pairs
    rand_indices = 1 - pairs_apart / max(pixels * (pixels - 1), 1)

    uncertainty = cuts @ xlogy(areas, areas) + xlogy(true_areas, true_areas).sum()
    joint = cuts @ xlogy(tables, tables).sum(axis=1)
    variations = (uncertainty - 2 * joint) / pixels / np.log(2)
    return best, best @ true_areas / pixels, rand_indices, np.maximum(variations, 0.0)


def summarize_hierarchies(
    statistics: Sequence[HierarchyStatistics], thresholds: Sequence[float], default: float
) -> dict[str, float]:
    """Turn the statistics of all images into the metrics of the data set.

    Args:
        statistics: of each image, for the same cuts.
        thresholds: altitudes of the cuts, (T,).
        default: one of them, chosen beforehand.

    Returns:
        For each of ``covering``, ``PRI`` and ``VoI``: ``_ODS``, at the single threshold that is
        best for the data set by that metric, and ``_OIS``, at the threshold that is best for each
        image; means over an image's annotations, then over the images. ``threshold_ODS``, by
        covering. ``mIoU``, ``mIoU_fine`` and ``mIoU_coarse``, best-overlap IoU over the segments
        of the whole set (of all annotations, of each image's with the most segments and of that
        with the fewest), with ``covering``, ``PRI``, ``VoI`` and ``regions``: at the default, named
        ``default_``, and at the threshold with the best ``mIoU``, named ``finest_``.

    Raises:
        ValueError: if there are no statistics, or none of an image with counted pixels, or the
            default is not among the thresholds.
    """
    thresholds = np.asarray(thresholds, dtype=float)
    (places,) = np.nonzero(np.isclose(thresholds, default, rtol=1e-9))
    if not len(statistics) or not len(places):
        raise ValueError(
            f'expected statistics and a default among the thresholds, '
            f'got {len(statistics)} images and {default}'
        )
    annotated = [image for image in statistics if image.segment_ious]
    if not annotated:
        raise ValueError(f'none of {len(statistics)} images has an annotation with counted pixels')
    curves = {
        'covering': _image_means(image.coverings for image in annotated),
        'PRI': _image_means(image.rand_indices for image in annotated),
        'VoI': _image_means(image.variations for image in annotated),
    }
    summary = {}
    for name, curve in curves.items():  # (images, T)
        best = np.min if name == 'VoI' else np.max
        summary[f'{name}_ODS'] = float(best(curve.mean(axis=0)))
        summary[f'{name}_OIS'] = float(best(curve, axis=1).mean())
    summary['threshold_ODS'] = float(thresholds[curves['covering'].mean(axis=0).argmax()])
    pooled = {
        'mIoU': _pooled(ious for image in annotated for ious in image.segment_ious),
        'mIoU_fine': _pooled(max(image.segment_ious, key=_segments) for image in annotated),
        'mIoU_coarse': _pooled(min(image.segment_ious, key=_segments) for image in annotated),
        **{name: curve.mean(axis=0) for name, curve in curves.items()},
        'regions': np.mean([image.num_regions for image in statistics], axis=0),
    }
    for name, place in (('default', places[0]), ('finest', pooled['mIoU'].argmax())):
        summary |= {f'{name}_{key}': float(curve[place]) for key, curve in pooled.items()}
    summary['finest_threshold'] = float(thresholds[pooled['mIoU'].argmax()])
    return summary


def _segments(ious: np.ndarray) -> int:
    return ious.shape[1]


def _image_means(scores: Iterable[np.ndarray]) -> np.ndarray:
    """Average each image's scores, (T, A), over its annotations, (images, T)."""
    return np.stack([score.mean(axis=1) for score in scores])


def _pooled(ious: Iterable[np.ndarray]) -> np.ndarray:
    """Average IoUs, each (T, S), over all segments, (T,)."""
    return np.concatenate(list(ious), axis=1).mean(axis=1)

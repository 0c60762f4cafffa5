"""Baselines of the benchmark of regions: classical segmentations at several scales each."""

from collections.abc import Sequence

import numpy as np
from skimage.graph import cut_normalized, cut_threshold, rag_mean_color
from skimage.segmentation import felzenszwalb, quickshift, slic

from dynaseg.core.metrics.hierarchies import HierarchyStatistics
from dynaseg.core.metrics.regions import region_statistics

FELZENSZWALB_SCALES = (30, 60, 100, 200, 400, 800, 1600)
QUICKSHIFT_DISTANCES = (6, 10, 20, 40)
SUPERPIXELS = 400
COLOUR_DISTANCES = (5, 10, 15, 20, 25, 30, 40, 50)
NORMALIZED_CUTS = (0.005, 0.02, 0.05, 0.1, 0.2)


def felzenszwalb_scales(image: np.ndarray) -> list[np.ndarray]:
    """Segment by Felzenszwalb and Huttenlocher's graph cut, fine to coarse."""
    return [felzenszwalb(image, scale, sigma=0.8, min_size=100) for scale in FELZENSZWALB_SCALES]


def quickshift_scales(image: np.ndarray) -> list[np.ndarray]:
    """Segment by quickshift, which finds the modes of mean shift, fine to coarse."""
    return [
        quickshift(image, kernel_size=3, max_dist=distance, ratio=0.5, rng=0)
        for distance in QUICKSHIFT_DISTANCES
    ]


def slic_merged(image: np.ndarray) -> list[np.ndarray]:
    """Merge SLIC superpixels whose mean colours differ by less than a threshold."""
    superpixels = slic(image, SUPERPIXELS, start_label=0)
    graph = rag_mean_color(image, superpixels)
    return [
        cut_threshold(superpixels, graph, distance, in_place=False) for distance in COLOUR_DISTANCES
    ]


def normalized_cuts(image: np.ndarray) -> list[np.ndarray]:
    """Cut the graph of SLIC superpixels recursively by normalised cuts (Shi and Malik 2000)."""
    superpixels = slic(image, SUPERPIXELS, start_label=0)
    graph = rag_mean_color(image, superpixels, mode='similarity')
    return [
        cut_normalized(superpixels, graph.copy(), thresh=threshold, rng=0)
        for threshold in reversed(NORMALIZED_CUTS)
    ]


def compare(
    maps: Sequence[np.ndarray], annotations: Sequence[np.ndarray], components: bool = True
) -> HierarchyStatistics:
    """Compare segmentations with annotations, each in place of a hierarchy's cut."""
    found = [region_statistics(labels, annotations, components=components) for labels in maps]
    return HierarchyStatistics(
        tuple(np.stack(ious) for ious in zip(*[one.segment_ious for one in found], strict=True)),
        *(
            np.stack([getattr(one, name) for one in found])
            for name in ('coverings', 'rand_indices', 'variations')
        ),
        np.array([one.num_components for one in found]),
    )


def people(annotations: Sequence[np.ndarray]) -> HierarchyStatistics:
    """Compare each annotation with the others; the mean over them, as a single cut."""
    parts = [
        compare([own], [*annotations[:place], *annotations[place + 1 :]], components=False)
        for place, own in enumerate(annotations)
        if len(annotations) > 1
    ]
    ious = tuple(one for part in parts for one in part.segment_ious)
    return HierarchyStatistics(
        ious,
        *(
            np.concatenate([getattr(part, name) for part in parts], axis=1)
            for name in ('coverings', 'rand_indices', 'variations')
        ),
        np.mean([part.num_regions for part in parts], axis=0),
    )

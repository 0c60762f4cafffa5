"""From an image and soft segmentations of it to a hierarchy of regions."""

from collections.abc import Sequence

import numpy as np

from dynaseg.core.regions.cues import read_soft_maps
from dynaseg.core.regions.descriptors import (
    Descriptors,
    describe_bands,
    describe_colour,
    describe_contrast,
    describe_feature,
    describe_orientations,
)
from dynaseg.core.regions.edges import EdgeMaps, find_edges
from dynaseg.core.regions.filters import lab_image
from dynaseg.core.regions.graph import RegionGraph, build_graph
from dynaseg.core.regions.hierarchy import RegionHierarchy
from dynaseg.core.regions.merging import Regions, merge_regions
from dynaseg.core.regions.settings import PLAIN, RegionSettings
from dynaseg.core.regions.superpixels import make_superpixels

COLOUR_GAIN = 3.0  # brings the distance of two clearly different colours, Lab / 100, to 1


def build_hierarchy(
    image: np.ndarray,
    soft_maps: Sequence[np.ndarray] = (),
    features: Sequence[np.ndarray] = (),
    settings: RegionSettings = PLAIN,
) -> RegionHierarchy:
    """Divide an image into regions, from superpixels up to the whole image."""
    lab = lab_image(image)
    edges = find_edges(lab)
    graph = build_graph(make_superpixels(edges.strength, settings.min_depth))
    descriptors = describe(lab, features, graph, settings)
    regions = Regions(
        descriptors,
        graph.areas,
        graph.perimeters,
        graph.region_sums(edges.fine),
        graph.borders,
        graph.lengths,
        border_strengths(lab, edges, soft_maps, descriptors, graph, settings),
    )
    parents, altitudes = merge_regions(regions, settings.cost)
    return RegionHierarchy(graph.leaves, parents, altitudes, settings.middle)


def describe(
    lab: np.ndarray, features: Sequence[np.ndarray], graph: RegionGraph, settings: RegionSettings
) -> Descriptors:
    """Describe superpixels by their colour, texture and features."""
    histograms = [
        (settings.colour, describe_colour(lab, graph)),
        (settings.gradient, describe_contrast(lab[0], graph)),
        (settings.bands, describe_bands(lab[0], graph)),
        (settings.orientation, describe_orientations(lab[0], graph)),
    ]
    levels = [
        (weight, describe_feature(level, graph))
        for weight, level in zip(settings.features, features, strict=True)
    ]
    return Descriptors.join(histograms, levels, graph.leaves.size)


def border_strengths(
    lab: np.ndarray,
    edges: EdgeMaps,
    soft_maps: Sequence[np.ndarray],
    descriptors: Descriptors,
    graph: RegionGraph,
    settings: RegionSettings,
) -> np.ndarray:
    """Sum over each border of its strength, from edges, soft maps, colours and features, (E,)."""
    cues = read_soft_maps(soft_maps, graph)
    extra = (
        settings.soft_contrast * cues.contrast
        + settings.soft_fine * cues.fine
        + settings.soft_coarse * cues.coarse
    )
    first, second = graph.borders.T
    if settings.colour_contrast:
        means = np.stack([graph.region_sums(channel) for channel in lab], axis=1)
        means /= graph.areas[:, None]
        distances = np.linalg.norm(means[first] - means[second], axis=1)
        extra += settings.colour_contrast * np.minimum(COLOUR_GAIN * distances, 1.0)
    return graph.border_sums(edges.strength) + graph.lengths * extra

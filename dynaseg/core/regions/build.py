"""From an image and soft segmentations of it to a hierarchy of regions."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from dynaseg.core.regions.connecting import connect_regions
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
from dynaseg.core.regions.enlarging import enlarge_leaves, shrink_image
from dynaseg.core.regions.filters import lab_image
from dynaseg.core.regions.graph import RegionGraph, build_graph
from dynaseg.core.regions.hierarchy import RegionHierarchy
from dynaseg.core.regions.merging import Regions, merge_regions
from dynaseg.core.regions.patterns import describe_patterns
from dynaseg.core.regions.settings import PLAIN, RegionSettings
from dynaseg.core.regions.superpixels import make_superpixels
from dynaseg.core.sizes import limited_size

COLOUR_GAIN = 3.0  # scales the distance of two clearly different colours, Lab / 100, to 1


def build_hierarchy(
    image: np.ndarray,
    soft_maps: Sequence[np.ndarray | Tensor] = (),
    features: Sequence[np.ndarray | Tensor] = (),
    settings: RegionSettings = PLAIN,
) -> RegionHierarchy:
    """Divide an image into regions, from superpixels up to the whole image.

    Superpixels, the basins of the image's edges, are merged greedily, starting with the pair whose
    border is weakest and whose colours, textures and features are most alike. Soft segmentations of
    the image strengthen the borders that they see.

    Args:
        image: sRGB, uint8, or floating point in [0, 1], (H, W, 3), or grey, (H, W).
        soft_maps: probabilities of labels, from any networks and in any sizes, each (K_i, h_i, w_i)
            and summing to one over the labels. There may be none.
        features: levels of a network's features, in any sizes, each (C_i, h_i, w_i), as many as
            ``settings.features`` has weights.
        settings: the weights and sizes; ``PLAIN``, or ``DEEP`` for the features of levels 1 to 4 of
            EfficientNet-Lite0 on the image at twice its size.

    Returns:
        The hierarchy, whose superpixels are at the image's own size.

    Raises:
        ValueError: if an array has the wrong shape or type, or the number of levels is wrong.

    Examples:
        >>> image = np.zeros((20, 30, 3), np.uint8)
        >>> image[5:15, 5:15] = 255, 128, 0
        >>> build_hierarchy(image).cut_to(2)[10, ::5].tolist()
        [0, 1, 1, 0, 0, 0]
    """
    image = check_image(image)
    soft_maps = [_check_maps(maps, 'soft_maps', number) for number, maps in enumerate(soft_maps)]
    features = [_check_maps(maps, 'features', number) for number, maps in enumerate(features)]
    if len(features) != len(settings.features):
        raise ValueError(
            f'features must be {len(settings.features)} levels, one per weight in the settings, '
            f'got {len(features)}'
        )
    working = working_image(image, settings.max_pixels)
    lab = lab_image(working)
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
        border_strengths(lab, edges, soft_maps, features, graph, settings),
    )
    parents, altitudes = merge_regions(regions, settings.cost)
    hierarchy = RegionHierarchy(
        enlarge_leaves(graph.leaves, image), parents, altitudes, settings.middle
    )
    return hierarchy if working is image else connect_regions(hierarchy)


def check_image(image: np.ndarray) -> np.ndarray:
    """Check an image, and expand a grey one to three channels, (H, W, 3).

    Raises:
        ValueError: if it is not an image.
    """
    image = np.asarray(image)
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f'image must be (H, W, 3) or (H, W), got shape {image.shape}')
    if image.dtype != np.uint8 and image.dtype.kind != 'f':
        raise ValueError(f'image must be uint8, or floating point in [0, 1], got {image.dtype}')
    if image.dtype != np.uint8 and not np.isfinite(image).all():
        raise ValueError('image must be finite, and has NaN or infinite values')
    return image


def working_image(image: np.ndarray, max_pixels: int) -> np.ndarray:
    """Shrink an image, (H, W, 3), to the size at which regions are found.

    Networks that compute soft maps of a large image need no more pixels than this.

    Args:
        image: uint8, or floating point in [0, 1], (H, W, 3).
        max_pixels: approximate maximum number of pixels.

    Returns:
        The image itself if it is small enough, or a smaller one, in [0, 1], float32.

    Examples:
        >>> working_image(np.zeros((40, 60, 3), np.uint8), 600).shape
        (20, 30, 3)
    """
    size = limited_size(image.shape[:2], max_pixels)
    if size == image.shape[:2]:
        return image
    smaller = shrink_image(image, size)
    return smaller / 255 if image.dtype == np.uint8 else smaller


def _check_maps(maps: np.ndarray | Tensor, name: str, number: int) -> np.ndarray:
    if isinstance(maps, Tensor):
        maps = maps.detach().cpu().numpy()
    maps = np.ascontiguousarray(maps, dtype=np.float32)
    if maps.ndim != 3 or not maps.size:
        raise ValueError(f'{name}[{number}] must be maps (K, h, w), got shape {maps.shape}')
    if not np.isfinite(maps).all():
        raise ValueError(f'{name}[{number}] must be finite, and has NaN or infinite values')
    return maps


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
    if settings.patterns:
        levels.append((settings.patterns, describe_patterns(lab, graph)))
    return Descriptors.join(histograms, levels, graph.leaves.size)


def border_strengths(
    lab: np.ndarray,
    edges: EdgeMaps,
    soft_maps: Sequence[np.ndarray],
    features: Sequence[np.ndarray],
    graph: RegionGraph,
    settings: RegionSettings,
) -> np.ndarray:
    """Sum the strength over each border, from edges, soft maps, colours and features, (E,)."""
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
    if settings.feature_contrast and features:
        level = describe_feature(features[settings.contrast_level], graph)
        descriptors = Descriptors.join([], [(1.0, level)], graph.leaves.size)
        units = descriptors.units(level, graph.areas[:, None])
        cosines = np.einsum('ed,ed->e', units[first], units[second])
        extra += settings.feature_contrast * np.sqrt(np.maximum(1 - cosines, 0))
    return graph.border_sums(edges.strength) + graph.lengths * extra

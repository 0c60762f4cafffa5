import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from dynaseg.core.regions.build import border_strengths, describe
from dynaseg.core.regions.descriptors import Descriptors
from dynaseg.core.regions.edges import find_edges
from dynaseg.core.regions.filters import lab_image
from dynaseg.core.regions.graph import build_graph
from dynaseg.core.regions.merging import MergingCost, Regions, merge_regions
from dynaseg.core.regions.settings import PLAIN
from dynaseg.core.regions.superpixels import make_superpixels


def noise_image(seed, size=(24, 30)):
    noise = np.random.default_rng(seed).normal(size=(*size, 3))
    smoothed = ndimage.gaussian_filter(noise, (1.5, 1.5, 0))
    return (255 * (smoothed - smoothed.min()) / np.ptp(smoothed)).astype(np.uint8)


def regions_of(image, features=()):
    lab = lab_image(image)
    edges = find_edges(lab)
    graph = build_graph(make_superpixels(edges.strength))
    descriptors = describe(lab, (), graph, replace(PLAIN, patterns=0.0))
    if features:
        sums = np.random.default_rng(0).normal(size=(len(graph.areas), 5)) * graph.areas[:, None]
        parts = np.split(descriptors.sums, np.cumsum(descriptors.sizes)[:-1], axis=1)
        histograms = list(zip(descriptors.weights, parts, strict=True))
        descriptors = Descriptors.join(histograms, [(0.4, sums)], graph.leaves.size)
    strengths = border_strengths(lab, edges, (), (), graph, PLAIN)
    textures = graph.region_sums(edges.fine)
    return Regions(
        descriptors,
        graph.areas,
        graph.perimeters,
        textures,
        graph.borders,
        graph.lengths,
        strengths,
    )


def literal(regions, cost):
    """All pairs' costs are computed anew at every step, from the superpixels that a node holds."""
    count = len(regions.areas)
    total, descriptors = regions.areas.sum(), regions.descriptors
    inside = {leaf: [leaf] for leaf in range(count)}
    parents, altitudes = np.arange(2 * count - 1), np.zeros(2 * count - 1)

    def border(first, second):
        between = [
            {a, b} <= {*inside[first], *inside[second]}
            and (a in inside[first]) != (b in inside[first])
            for a, b in regions.borders.tolist()
        ]
        return regions.lengths[between].sum(), regions.strengths[between].sum()

    def perimeter(node):
        leaves = inside[node]
        within = [a in leaves and b in leaves for a, b in regions.borders.tolist()]
        return regions.perimeters[leaves].sum() - 2 * regions.lengths[within].sum()

    def describe_node(node, start, stop, is_feature):
        mean = descriptors.sums[inside[node], start:stop].sum(0) / regions.areas[inside[node]].sum()
        if not is_feature:
            return np.sqrt(mean)
        mean = mean - descriptors.centres
        return mean / np.linalg.norm(mean)

    def price(first, second):
        length, strength = border(first, second)
        stops = np.cumsum(descriptors.sizes)
        columns = stops[-1] - len(descriptors.centres)
        distance = 0.0
        for weight, size, stop in zip(descriptors.weights, descriptors.sizes, stops, strict=True):
            u, v = (
                describe_node(node, stop - size, stop, stop > columns) for node in (first, second)
            )
            distance += weight * np.sqrt(max(1 - u @ v, 0))
        areas = [regions.areas[inside[node]].sum() for node in (first, second)]
        texture = min(
            regions.textures[inside[node]].sum() / area
            for node, area in zip((first, second), areas, strict=True)
        )
        s, t = (area / total for area in areas)
        contrast = max(strength / length - cost.texture * texture, 0)
        return (
            (distance + contrast)
            * (s * t / (s + t)) ** cost.area_power
            * (min(perimeter(first), perimeter(second)) / length) ** cost.shape_power
        )

    for node in range(count, 2 * count - 1):
        pairs = [pair for pair in itertools.combinations(inside, 2) if border(*pair)[0]]
        cheapest = min(pairs, key=lambda pair: price(*pair))
        altitudes[node] = max(altitudes[node - 1], price(*cheapest))
        parents[list(cheapest)] = node
        inside[node] = inside.pop(cheapest[0]) + inside.pop(cheapest[1])
    return parents, altitudes


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('features', [(), (1,)])
def test_as_a_literal_transcription(seed, features):
    regions = regions_of(noise_image(seed), features)
    assert 8 < len(regions.areas) < 60
    cost = MergingCost(area_power=0.1, shape_power=0.2)
    parents, altitudes = merge_regions(regions, cost)
    expected_parents, expected_altitudes = literal(regions, cost)
    np.testing.assert_array_equal(parents, expected_parents)
    np.testing.assert_allclose(altitudes, expected_altitudes, rtol=1e-9)


def test_texture_of_its_own_does_not_part_a_region():
    """Stripes within both sides are as strong as the border between them."""
    regions = regions_of(noise_image(5))
    free = merge_regions(regions, MergingCost(texture=0.0))[1]
    assert merge_regions(regions, MergingCost(texture=1.0))[1][-1] < free[-1]

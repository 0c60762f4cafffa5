"""Descriptors against their formulas, pixel by pixel."""

import numpy as np
import pytest
from scipy import ndimage

from dynaseg.core.regions.descriptors import (
    Descriptors,
    describe_bands,
    describe_colour,
    describe_contrast,
    describe_feature,
    describe_orientations,
)
from dynaseg.core.regions.graph import build_graph

SIZE = (14, 18)


@pytest.fixture
def graph():
    leaves = np.kron(np.arange(6).reshape(2, 3), np.ones((7, 6), int)).astype(np.int32)
    leaves[5, 4:8] = 0
    return build_graph(leaves)


@pytest.fixture
def lab():
    """Of all lightnesses and strong colours, some beyond the range of the histograms."""
    rng = np.random.default_rng(0)
    return np.stack([rng.uniform(low, 1, SIZE) for low in (0, -1, -1)]).astype(np.float32)


def lie_between(value, low, high, bins):
    """The shares of the bins, whose centres go from low to high."""
    place = min(max((value - low) / (high - low) * (bins - 1), 0), bins - 1)
    shares = np.zeros(bins)
    for number in range(bins):
        shares[number] = max(0, 1 - abs(place - number))
    return shares


def add_up(graph, values, bins, share):
    expected = np.zeros((len(graph.areas), bins))
    for place in np.ndindex(SIZE):
        expected[graph.leaves[place]] += share(values[place])
    return expected


def log_histogram(graph, values, floor):
    low = np.log(floor)
    logs = np.log(values.astype(float) + floor)
    return add_up(graph, logs, 8, lambda value: lie_between(value, low, low + 5, 8))


def test_colours(graph, lab):
    expected = [
        add_up(graph, channel, 12, lambda value, ends=ends: lie_between(value, *ends, 12)) / 3
        for channel, ends in zip(lab, ((0, 1), (-0.6, 0.6), (-0.6, 0.6)), strict=True)
    ]
    found = describe_colour(lab, graph)
    np.testing.assert_allclose(found, np.concatenate(expected, axis=1), atol=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), graph.areas)


def test_gradients(graph, lab):
    gradient = np.hypot(*(ndimage.sobel(lab[0], axis=axis) / 4 for axis in (0, 1)))
    expected = log_histogram(graph, gradient, 0.01)
    np.testing.assert_allclose(describe_contrast(lab[0], graph), expected, atol=1e-3)


def test_bands(graph, lab):
    smoothed = [lab[0]] + [ndimage.gaussian_filter(lab[0], s, truncate=3) for s in (1, 2, 4)]
    expected = [
        log_histogram(graph, np.abs(smoothed[k] - smoothed[k + 1]), 0.002) / 3 for k in range(3)
    ]
    found = describe_bands(lab[0], graph)
    np.testing.assert_allclose(found, np.concatenate(expected, axis=1), atol=0.02)
    np.testing.assert_allclose(found.sum(axis=1), graph.areas)


def test_directions(graph, lab):
    down, right = (ndimage.sobel(lab[0].astype(float), axis=axis) / 4 for axis in (0, 1))

    def share(gradient):
        y, x = gradient
        strength = min(np.hypot(y, x), 0.5)
        place = np.arctan2(y, x) % np.pi / np.pi * 8
        shares = np.zeros(9)
        for number in range(8):
            away = abs(place - number)
            shares[number] = max(0, 1 - min(away, 8 - away)) * strength
        shares[8] = 0.5 - strength
        return shares / 0.5

    expected = add_up(graph, np.stack([down, right], axis=-1), 9, share)
    found = describe_orientations(lab[0], graph)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), graph.areas)


def test_features_are_sums_and_their_units_are_centred(graph):
    level = np.random.default_rng(1).normal(size=(5, *SIZE)).astype(np.float32)
    sums = describe_feature(level, graph)
    expected = [level[:, graph.leaves == leaf].sum(axis=1) for leaf in range(6)]
    np.testing.assert_allclose(sums, expected, rtol=1e-4, atol=1e-4)
    descriptors = Descriptors.join(
        [(1.0, np.eye(6) * graph.areas[:, None])], [(0.5, sums)], 14 * 18
    )
    units = descriptors.units(descriptors.sums, graph.areas[:, None])
    np.testing.assert_allclose(units[:, :6], np.eye(6))
    means = np.array(expected) / graph.areas[:, None] - level.mean(axis=(1, 2))
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(units[:, 6:], means, atol=1e-4)

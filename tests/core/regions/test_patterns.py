"""Patterns against their formulas, and what whitening is for."""

import numpy as np
import pytest
import scipy.fft

from dynaseg.core.regions.descriptors import Descriptors
from dynaseg.core.regions.graph import build_graph
from dynaseg.core.regions.patterns import (
    describe_patterns,
    find_patterns,
    whiten_by_neighbours,
)


def test_patterns_are_shares_of_the_cosine_transform():
    lab = np.random.default_rng(0).normal(scale=0.1, size=(3, 9, 8)).astype(np.float32)
    padded = np.pad(lab, ((0, 0), (2, 2), (2, 2)), mode='edge')
    found = find_patterns(lab)
    assert found.shape == (72, 9, 8)
    for y, x in [(0, 0), (4, 3), (8, 7)]:
        coefficients = np.array(
            [scipy.fft.dctn(channel, norm='ortho') for channel in padded[:, y : y + 5, x : x + 5]]
        ).reshape(3, 25)[:, 1:]
        size = np.sqrt((coefficients**2).mean() + 1e-4)
        np.testing.assert_allclose(found[:, y, x], np.abs(coefficients).ravel() / size, rtol=1e-3)


def test_light_does_not_change_patterns():
    lab = np.random.default_rng(0).normal(scale=0.2, size=(3, 12, 10)).astype(np.float32)
    np.testing.assert_allclose(find_patterns(lab), find_patterns(0.7 * lab + 0.3), atol=0.01)


@pytest.fixture
def graph():
    return build_graph(np.kron(np.arange(48).reshape(6, 8), np.ones((5, 5), int)).astype(np.int32))


def test_whitened_features_solve_the_eigenproblem(graph):
    """With v of S v = q N v and v^T N v = 1, the components have variances q - 1."""
    rng = np.random.default_rng(0)
    means = rng.normal(size=(48, 20)) @ rng.normal(size=(20, 20))
    found = whiten_by_neighbours(means * graph.areas[:, None], graph) / graph.areas[:, None]
    signal = np.cov(means.T, bias=True, aweights=graph.areas)
    noise = np.zeros((20, 20))
    for (first, second), length in zip(graph.borders, graph.lengths, strict=True):
        step = means[first] - means[second]
        noise += length * np.outer(step, step) / 2 / graph.lengths.sum()
    noise += 0.01 * np.diagonal(noise).mean() * np.eye(20)
    ratios = np.sort(np.linalg.eigvals(np.linalg.solve(noise, signal)).real)[-12:]
    expected = np.diag(np.maximum(ratios - 1, 0))
    np.testing.assert_allclose(np.cov(found.T, bias=True), expected, atol=1e-6)


def test_what_differs_between_all_neighbours_does_not_count(graph):
    """A weak difference of two halves outweighs strong noise of every superpixel."""
    rng = np.random.default_rng(0)
    is_right = np.arange(48) % 8 >= 4
    means = np.stack([is_right, *rng.normal(scale=2, size=(5, 48))], axis=1)
    sums = means * graph.areas[:, None]
    for features, apart in [(sums, False), (whiten_by_neighbours(sums, graph), True)]:
        descriptors = Descriptors.join([], [(1.0, features)], graph.leaves.size)
        units = descriptors.units(features, graph.areas[:, None])
        cosines = units @ units.T
        within = cosines[is_right[:, None] == is_right].mean()
        between = cosines[is_right[:, None] != is_right].mean()
        assert (within - between > 1) == apart


@pytest.mark.parametrize('size', [(1, 1), (1, 9), (4, 3)])
def test_images_without_patterns(size):
    lab = np.zeros((3, *size), dtype=np.float32)
    for leaves in (np.zeros(size), np.arange(lab[0].size).reshape(size)):
        graph = build_graph(leaves.astype(np.int32))
        found = describe_patterns(lab, graph)
        assert found.shape == (len(graph.areas), 12)
        assert (found == 0).all()

import numpy as np
import torch

from dynaseg.core.regions.cues import read_soft_maps, soft_labels
from dynaseg.core.regions.filters import enlarge, gradient_magnitude
from dynaseg.core.regions.graph import build_graph, pooling_matrix


def sample(seed=0):
    rng = np.random.default_rng(seed)
    leaves = np.kron(np.arange(12).reshape(3, 4), np.ones((5, 6), int)).astype(np.int32)
    maps = rng.random((2, 4, 8, 12)).astype(np.float32) ** 3
    return build_graph(leaves), [soft / soft.sum(axis=0) for soft in maps]


def test_pooling_is_the_mean_of_the_enlarged_map():
    graph, _ = sample()
    for size in ((8, 12), (15, 24), (1, 1), (30, 7)):
        values = np.random.default_rng(1).random((1, *size)).astype(np.float32)
        enlarged = enlarge(values, graph.leaves.shape)[0]
        expected = graph.region_sums(enlarged) / graph.areas
        pooled = pooling_matrix(graph.leaves, size) @ values.ravel()
        np.testing.assert_allclose(pooled, expected, rtol=1e-4)


def test_cues_are_those_of_the_formulas():
    graph, maps = sample()
    cues = read_soft_maps(maps, graph)
    size = graph.leaves.shape
    for border, (first, second) in enumerate(graph.borders):
        contrast, gradients = 0.0, np.zeros(2)
        for soft in maps:
            enlarged = enlarge(soft, size)
            p, q = (enlarged[:, graph.leaves == region].mean(axis=1) for region in (first, second))
            contrast += np.linalg.norm(np.sqrt(p) - np.sqrt(q)) / np.sqrt(2) / 2
            pairs = graph.pixels[graph.pair_borders == border]
            for place, sigma in enumerate((0.75, 1.5)):
                gradient = enlarge(gradient_magnitude(soft, sigma)[None], size)[0].ravel()
                gradients[place] += 1.77 * gradient[pairs].max(axis=1).mean() / 2
        assert abs(cues.contrast[border] - contrast) < 1e-3
        found = cues.fine[border], cues.coarse[border]
        np.testing.assert_allclose(found, gradients, rtol=1e-4)


def test_soft_labels_are_those_that_are_most_probable_somewhere():
    response = torch.randn(1, 6, 5, 7, generator=torch.Generator().manual_seed(0))
    response[:, 2] -= 9
    shares = response[0].softmax(dim=0)[[0, 1, 3, 4, 5]]
    expected = shares / shares.sum(dim=0)
    np.testing.assert_allclose(soft_labels(response), expected.numpy(), rtol=1e-5)


def test_no_maps_no_cues():
    graph, _ = sample()
    cues = read_soft_maps([], graph)
    assert not cues.contrast.any()
    assert not cues.fine.any()
    assert not cues.coarse.any()


def test_maps_larger_than_the_image_have_the_same_borders():
    graph, _ = sample()
    soft = np.zeros((2, *graph.leaves.shape), np.float32)
    soft[0, :, :12], soft[1, :, 12:] = 1, 1
    expected = read_soft_maps([soft], graph)
    assert expected.fine.max() > 0.5
    for times in (2, 5):
        larger = np.kron(soft, np.ones((times, times), np.float32))
        cues = read_soft_maps([larger], graph)
        np.testing.assert_allclose(cues.fine, expected.fine, atol=1e-5)
        np.testing.assert_allclose(cues.coarse, expected.coarse, atol=1e-5)

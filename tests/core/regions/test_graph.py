import numpy as np

from dynaseg.core.regions.graph import build_graph


def test_sums_are_those_of_all_pairs():
    rng = np.random.default_rng(0)
    leaves = np.kron(np.arange(6).reshape(2, 3), np.ones((4, 5), int)).astype(np.int32)
    leaves[3, 4], leaves[4, 5] = 1, 0
    values = rng.random(leaves.shape)
    lengths, sums, perimeters = {}, {}, np.zeros(6)
    height, width = leaves.shape
    for y in range(height):
        for x in range(width):
            if y in (0, height - 1) or x in (0, width - 1):
                perimeters[leaves[y, x]] += 1.5
            for v, u in ((y, x + 1), (y + 1, x)):
                if v < height and u < width and leaves[y, x] != leaves[v, u]:
                    pair = tuple(sorted((int(leaves[y, x]), int(leaves[v, u]))))
                    lengths[pair] = lengths.get(pair, 0) + 1
                    sums[pair] = sums.get(pair, 0) + max(values[y, x], values[v, u])
                    perimeters[list(pair)] += 1
    graph = build_graph(leaves)
    pairs = [tuple(border) for border in graph.borders.tolist()]
    assert pairs == sorted(lengths)
    assert graph.lengths.tolist() == [lengths[pair] for pair in pairs]
    np.testing.assert_allclose(graph.border_sums(values), [sums[pair] for pair in pairs])
    np.testing.assert_allclose(graph.perimeters, perimeters)
    expected = [values[leaves == leaf].sum() for leaf in range(6)]
    np.testing.assert_allclose(graph.region_sums(values), expected)


def test_a_single_superpixel():
    graph = build_graph(np.zeros((1, 1), np.int32))
    assert graph.borders.shape == (0, 2)
    assert graph.perimeters.tolist() == [1.5]

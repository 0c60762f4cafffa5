import tracemalloc

import numpy as np
import pytest
import torch

from dynaseg.core.regions import build_hierarchy
from dynaseg.core.regions.labels import average_over_superpixels, label_regions


@pytest.mark.parametrize('dtype', [np.uint8, np.int64])
def test_each_region_has_its_most_frequent_label(dtype):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 9, (40, 50)).astype(dtype)
    regions = rng.integers(0, 30, (40, 50))
    found = label_regions(labels, regions)
    assert found.dtype == dtype
    for region in range(30):
        inside = regions == region
        assert (found[inside] == np.bincount(labels[inside]).argmax()).all()


def test_labels_may_be_large_numbers():
    labels = np.array([[10**12, 10**12, 7], [5, 7, 7]])
    found = label_regions(labels, np.array([[0, 0, 1], [0, 1, 1]]))
    np.testing.assert_array_equal(found, [[10**12, 10**12, 7], [10**12, 7, 7]])


def test_labels_may_be_unsigned():
    labels = np.array([[10**12, 10**12, 7]], np.uint64)
    found = label_regions(labels, np.array([[0, 0, 1]], np.uint64))
    assert found.dtype == np.uint64
    np.testing.assert_array_equal(found, labels)


def test_few_large_labels_take_no_table_of_their_size():
    labels = np.full((256, 256), 60_000)
    labels[:, ::3] = 59_999
    regions = np.arange(64).repeat(4)[:, None] * 64 + np.arange(64).repeat(4)
    tracemalloc.start()
    found = label_regions(labels, regions)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * labels.nbytes
    assert set(np.unique(found)) <= {59_999, 60_000}


def test_lowest_of_equally_frequent_labels():
    labels = np.array([[7, 2, 2, 7]])
    np.testing.assert_array_equal(label_regions(labels, np.zeros((1, 4), int)), [[2, 2, 2, 2]])


def test_maps_are_checked():
    labels = np.zeros((4, 5), int)
    with pytest.raises(ValueError, match='labels and regions must have the same shape'):
        label_regions(labels, np.zeros((4, 6), int))
    with pytest.raises(ValueError, match='labels must be a non-empty map'):
        label_regions(labels - 1, labels)
    with pytest.raises(ValueError, match='regions must be a non-empty map'):
        label_regions(labels, labels.astype(float))


def test_probabilities_are_averaged_over_the_leaves_of_the_hierarchy():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    image[5:15, 5:15] = 255, 128, 0
    probabilities = torch.rand(4, 20, 30).softmax(dim=0)
    leaves = build_hierarchy(image).leaves
    averaged = average_over_superpixels(probabilities, image)
    for leaf in range(leaves.max() + 1):
        inside = torch.from_numpy(leaves == leaf)
        mean = probabilities[:, inside].mean(dim=1, keepdim=True)
        torch.testing.assert_close(averaged[:, inside], mean.expand(-1, int(inside.sum())))
    torch.testing.assert_close(averaged.sum(dim=0), torch.ones(20, 30))
    with pytest.raises(ValueError, match=r'the size of the image, \(20, 30\), got \(10, 30\)'):
        average_over_superpixels(probabilities[:, :10], image)


def test_means_over_millions_of_pixels_are_exact():
    image = np.zeros((1000, 1000, 3), np.uint8)  # one superpixel
    probabilities = torch.tensor([0.30, 0.34, 0.36]).view(3, 1, 1).expand(3, 1000, 1000)
    averaged = average_over_superpixels(probabilities, image)
    torch.testing.assert_close(averaged, probabilities, atol=1e-6, rtol=0)
    half = average_over_superpixels(probabilities.half(), image)
    torch.testing.assert_close(half, probabilities.half())

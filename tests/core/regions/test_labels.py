import numpy as np
import pytest

from dynaseg.core.regions.labels import label_regions


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


def test_lowest_of_equally_frequent_labels():
    labels = np.array([[7, 2, 2, 7]])
    np.testing.assert_array_equal(label_regions(labels, np.zeros((1, 4), int)), [[2, 2, 2, 2]])


def test_maps_are_checked():
    labels = np.zeros((4, 5), int)
    with pytest.raises(ValueError, match='labels and regions must have one shape'):
        label_regions(labels, np.zeros((4, 6), int))
    with pytest.raises(ValueError, match='labels must be a non-empty map'):
        label_regions(labels - 1, labels)
    with pytest.raises(ValueError, match='regions must be a non-empty map'):
        label_regions(labels, labels.astype(float))

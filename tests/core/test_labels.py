import numpy as np
import pytest
from skimage.measure import label

from dynaseg.core.labels import merge_small_regions


def smallest_region(labels):
    return np.bincount(label(labels + 1, connectivity=1).ravel())[1:].min()


def merge_literally(labels, min_pixels):
    """Each pixel of a small region takes the label of the nearest pixel that is in a large one."""
    components = label(labels + 1, connectivity=1)
    large = np.array([(components == c).sum() >= min_pixels for c in range(components.max() + 1)])
    places = np.argwhere(large[components])
    merged, ties = labels.copy(), np.zeros(labels.shape, dtype=bool)
    for place in np.argwhere(~large[components]):
        distances = ((places - place) ** 2).sum(axis=1)
        nearest = {labels[tuple(p)] for p in places[distances == distances.min()]}
        merged[tuple(place)] = min(nearest)
        ties[tuple(place)] = len(nearest) > 1
    return merged, ties


def test_agrees_with_a_literal_second_implementation():
    generator = np.random.default_rng(0)
    for _ in range(5):
        labels = np.kron(generator.integers(0, 3, (4, 5)), np.ones((5, 5), dtype=int))
        specks = generator.random(labels.shape) < 0.1
        labels[specks] = generator.integers(0, 6, specks.sum())
        expected, ties = merge_literally(labels, 4)
        merged = merge_small_regions(labels, 4)
        assert np.array_equal(merged[~ties], expected[~ties])
        assert not np.array_equal(merged, labels)


def test_no_small_region_is_left():
    labels = np.kron(np.arange(6).reshape(2, 3), np.ones((10, 10), dtype=int))
    labels[3, 4] = labels[15, 15] = 5
    merged = merge_small_regions(labels, 5)
    assert smallest_region(labels) == 1
    assert smallest_region(merged) == 100


def test_regions_are_of_one_label_but_not_connected():
    labels = np.array([[1, 1, 1, 0, 0, 0, 1]])
    assert merge_small_regions(labels, 2).tolist() == [[1, 1, 1, 0, 0, 0, 0]]


def test_diagonal_neighbours_are_not_connected():
    labels = np.zeros((6, 6), dtype=int)
    labels[2, 2] = labels[3, 3] = 1
    assert merge_small_regions(labels, 2).max() == 0


@pytest.mark.parametrize('labels', [np.zeros((4, 5), dtype=int), np.arange(20).reshape(4, 5)])
def test_all_large_or_all_small_is_left_alone(labels):
    assert np.array_equal(merge_small_regions(labels, 2), labels)


@pytest.mark.parametrize(('min_labels', 'expected'), [(1, {0}), (2, {0, 2}), (3, {0, 1, 2})])
def test_labels_that_must_stay_keep_their_largest_region(min_labels, expected):
    labels = np.zeros((8, 8), dtype=np.int64)
    labels[1, 1] = 1
    labels[5, 2:4] = 2
    labels[5, 6] = 2
    merged = merge_small_regions(labels, 4, min_labels)
    assert set(np.unique(merged)) == expected
    assert merged[5, 6] == 0
    assert merged.dtype == labels.dtype

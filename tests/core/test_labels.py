import numpy as np
import pytest
from skimage.measure import label

from dynaseg.core.labels import (
    check_label_map,
    connected_components,
    merge_small_regions,
    renumber,
)


def test_renumbering_keeps_the_order_and_the_shape():
    labels = np.random.default_rng(0).choice([-4, 9, 300, 301], (3, 5, 7))
    numbered = renumber(labels)
    assert numbered.dtype == np.int64
    assert numbered.shape == labels.shape
    assert np.array_equal(np.array([-4, 9, 300, 301])[numbered], labels)


def flood(labels):
    """Component of each pixel, four neighbours, by flooding from every pixel in its turn."""
    height, width = labels.shape
    components = np.full(labels.shape, -1)
    for start in np.ndindex(labels.shape):
        if components[start] >= 0:
            continue
        number, waiting = components.max() + 1, [start]
        while waiting:
            y, x = waiting.pop()
            if components[y, x] < 0:
                components[y, x] = number
                for down, right in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                    place = y + down, x + right
                    inside = 0 <= place[0] < height and 0 <= place[1] < width
                    if inside and labels[place] == labels[start]:
                        waiting.append(place)
    return components


@pytest.mark.parametrize('kind', [np.uint8, np.int16, np.int64])
def test_components_are_those_of_flooding(kind):
    for seed in range(5):
        labels = np.random.default_rng(seed).integers(0, 3, (7, 9)).astype(kind)
        assert np.array_equal(connected_components(labels), flood(labels))


def test_no_label_is_background():
    for labels in (np.zeros((2, 3), int), np.full((2, 3), -1), np.full((2, 3), 255, np.uint8)):
        assert connected_components(labels).tolist() == [[0] * 3] * 2
    assert connected_components(np.array([[-1, 0, 255]])).tolist() == [[0, 1, 2]]


@pytest.mark.parametrize(
    'labels', [np.zeros((2, 3)), np.zeros(6, int), np.zeros((0, 3), int), np.zeros((1, 2, 3), int)]
)
def test_what_is_no_label_map_is_named(labels):
    with pytest.raises(ValueError, match=r'labels must be a non-empty map \(H, W\) of integers'):
        connected_components(labels)
    with pytest.raises(ValueError, match=r'truth must be .* got .* of shape'):
        check_label_map(labels, 'truth')


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

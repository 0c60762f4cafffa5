import numpy as np
import pytest
import sklearn.metrics

from dynaseg.core import estimate_num_clusters

COLOURS = np.array([[220, 40, 40], [40, 200, 60], [40, 60, 210], [240, 240, 240]], dtype=np.uint8)


def make_patches(number, size=(60, 80), seed=0):
    generator = np.random.default_rng(seed)
    image = np.zeros((*size, 3), dtype=np.uint8)
    for patch, columns in enumerate(np.array_split(np.arange(size[1]), number)):
        image[:, columns] = COLOURS[patch]
    return image - generator.integers(0, 12, image.shape, dtype=np.uint8)


@pytest.mark.parametrize('number', [2, 3, 4])
def test_finds_the_number_of_colours(number):
    best, scores = estimate_num_clusters(make_patches(number))
    assert best == number
    assert max(scores, key=scores.get) == number
    assert all(-1 <= score <= 1 for score in scores.values())


def test_three_colours_may_be_two_clusters():
    image = np.zeros((20, 30, 3), dtype=np.uint8)
    image[:, 10:20], image[:, 20:] = 12, 240
    best, scores = estimate_num_clusters(image)
    assert (best, set(scores)) == (2, {2})


def test_colours_and_not_rows_are_clustered():
    image = make_patches(3)
    pixels = image.reshape(-1, 3)
    shuffled = np.random.default_rng(1).permutation(pixels).reshape(image.shape)
    assert estimate_num_clusters(shuffled)[0] == 3  # all of its rows are alike


def test_float_and_uint8_images_agree():
    image = make_patches(3)
    best, scores = estimate_num_clusters(image)
    assert estimate_num_clusters(image / 255) == (best, pytest.approx(scores, abs=1e-3))


def test_is_a_function_of_the_image():
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    assert estimate_num_clusters(image) == estimate_num_clusters(image.copy())


def test_constant_image_has_one_cluster():
    assert estimate_num_clusters(np.full((20, 30, 3), 77, dtype=np.uint8)) == (1, {})


def test_two_colours_are_two_clusters():
    image = np.zeros((20, 30, 3), dtype=np.uint8)
    image[:, 15:] = 200
    assert estimate_num_clusters(image) == (2, {})


@pytest.mark.parametrize('size', [(1, 1), (1, 40), (40, 1), (2, 2), (1, 3)])
def test_tiny_images(size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    best, _ = estimate_num_clusters(image)
    assert 1 <= best <= size[0] * size[1]


@pytest.mark.parametrize('size', [(1, 20_000), (20_000, 2)])
def test_long_images_are_no_more_pixels_than_others(size, monkeypatch):
    counts = []
    compute = sklearn.metrics.pairwise_distances
    monkeypatch.setattr(
        'sklearn.metrics.pairwise_distances', lambda x: counts.append(len(x)) or compute(x)
    )
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    estimate_num_clusters(image, (2, 3))
    assert 250 <= counts[0] <= 500


def test_candidates_are_those_that_are_tried():
    assert set(estimate_num_clusters(make_patches(4), candidates=[2, 5])[1]) == {2, 5}


@pytest.mark.parametrize('image', [np.zeros((4, 4)), np.zeros((4, 4, 4)), np.zeros((1, 4, 4, 3))])
def test_image_of_another_shape_is_refused(image):
    with pytest.raises(ValueError, match='image must be'):
        estimate_num_clusters(image)


@pytest.mark.parametrize('candidates', [[], [1, 2]])
def test_senseless_candidates_are_refused(candidates):
    with pytest.raises(ValueError, match='candidates must be'):
        estimate_num_clusters(make_patches(2), candidates=candidates)

import numpy as np
import pytest
from skimage.measure import label

from dynaseg.core.regions.enlarging import enlarge_leaves, shrink_image
from dynaseg.core.regions.superpixels import number_by_first_pixel


def noise_leaves(seed, size=(9, 11)):
    """Many small, ragged, 4-connected superpixels."""
    values = np.random.default_rng(seed).integers(0, 3, size)
    return number_by_first_pixel(label(values, connectivity=1, background=-1))


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('size', [(9, 11), (18, 22), (31, 50), (100, 90)])
def test_superpixels_stay_whole(seed, size):
    leaves = noise_leaves(seed)
    image = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)
    enlarged = enlarge_leaves(leaves, image)
    assert enlarged.shape == size
    assert enlarged.dtype == np.int32
    assert len(np.unique(enlarged)) == leaves.max() + 1
    assert label(enlarged, connectivity=1, background=-1).max() == leaves.max() + 1


def test_borders_follow_the_image():
    """A slanting edge, of which the small superpixels have only steps of eight pixels."""
    y, x = np.mgrid[:160, :240]
    right = x > 60 + 0.7 * y
    image = np.where(right[..., None], (210, 180, 90), (60, 90, 120)).astype(np.uint8)
    small = right.reshape(20, 8, 30, 8).mean(axis=(1, 3)) > 0.5
    steps = np.kron(small, np.ones((8, 8), dtype=bool))
    enlarged = enlarge_leaves(small.astype(np.int32), image)
    assert (enlarged != right).mean() < 0.1 * (steps != right).mean()


def test_floats_are_as_bytes():
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    leaves = noise_leaves(1)
    of_bytes, of_floats = (enlarge_leaves(leaves, pixels) for pixels in (image, image / 255))
    assert (of_bytes != of_floats).mean() < 0.02  # equal votes may be rounded to either side


def test_nothing_to_enlarge():
    leaves = noise_leaves(0)
    image = np.zeros((*leaves.shape, 3), np.uint8)
    np.testing.assert_array_equal(enlarge_leaves(leaves, image), leaves)


def test_shrinking_averages_areas():
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    expected = image.reshape(3, 2, 4, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(shrink_image(image, (3, 4)), expected, rtol=1e-6)

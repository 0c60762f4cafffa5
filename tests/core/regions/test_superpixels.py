import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import label
from skimage.morphology import h_minima

from dynaseg.core.regions.superpixels import make_superpixels, number_by_first_pixel


@pytest.mark.parametrize('seed', range(3))
def test_one_superpixel_a_deep_minimum(seed):
    rng = np.random.default_rng(seed)
    strength = np.abs(ndimage.gaussian_filter(rng.normal(size=(40, 50)), 2)).astype(np.float32)
    leaves = make_superpixels(strength, 0.05)
    minima = h_minima(np.rint(strength * 1000).astype(np.int64), 50)
    assert leaves.max() + 1 >= label(minima, connectivity=2).max() > 1
    assert label(leaves, connectivity=1, background=-1).max() == leaves.max() + 1
    inside = ndimage.minimum(strength, leaves, np.arange(leaves.max() + 1))
    assert len(inside) == len(np.unique(leaves))


@pytest.mark.parametrize('seed', range(5))
def test_superpixels_are_connected_though_minima_may_touch_at_corners(seed):
    strength = np.random.default_rng(seed).choice([0, 0.1, 0.5, 1], (40, 50)).astype(np.float32)
    leaves = make_superpixels(strength, 0.05)
    assert label(leaves, connectivity=1, background=-1).max() == leaves.max() + 1


def test_deeper_basins_are_fewer():
    rng = np.random.default_rng(3)
    strength = np.abs(ndimage.gaussian_filter(rng.normal(size=(60, 60)), 2)).astype(np.float32)
    counts = [make_superpixels(strength, depth).max() for depth in (0.01, 0.05, 0.2)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_number_in_order_of_appearance():
    regions = np.array([[5, 5, 1], [9, 1, 1]])
    np.testing.assert_array_equal(number_by_first_pixel(regions), [[0, 0, 1], [2, 1, 1]])

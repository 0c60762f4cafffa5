import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import label

from dynaseg.core.regions.build import build_hierarchy
from dynaseg.core.regions.hierarchy import RegionHierarchy
from dynaseg.core.regions.small_regions import remove_small_regions


def noise_hierarchy(seed, size=(50, 70)):
    noise = np.random.default_rng(seed).normal(size=(*size, 3))
    smoothed = ndimage.gaussian_filter(noise, (1.5, 1.5, 0))
    image = (255 * (smoothed - smoothed.min()) / np.ptp(smoothed)).astype(np.uint8)
    return build_hierarchy(image)


def is_inside(fine, coarse):
    """Whether every region of the fine segmentation lies in one of the coarse."""
    pairs = np.unique(np.stack([fine.ravel(), coarse.ravel()]), axis=1)
    return pairs.shape[1] == fine.max() + 1


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('min_area', [0, 40])
def test_levels_are_nested_and_connected(seed, min_area):
    hierarchy = remove_small_regions(noise_hierarchy(seed), min_area)
    finer = hierarchy.leaves
    for threshold in np.linspace(0, hierarchy.altitudes[-1], 12):
        regions = hierarchy.cut(threshold)
        assert is_inside(finer, regions)
        assert regions.max() + 1 == hierarchy.num_regions(threshold)
        assert label(regions, connectivity=1, background=-1).max() == regions.max() + 1
        assert np.bincount(regions.ravel()).min() >= min_area
        finer = regions
    assert finer.max() == 0


@pytest.mark.parametrize('seed', range(3))
def test_small_regions_leave_the_rest_as_it_was(seed):
    """A merging of two large regions keeps its altitude."""
    hierarchy = noise_hierarchy(seed)
    larger = remove_small_regions(hierarchy, 60)
    assert 1 < larger.num_leaves < hierarchy.num_leaves
    areas = hierarchy.areas()
    kept = [
        hierarchy.altitudes[node]
        for node in range(hierarchy.num_leaves, len(areas))
        if areas[:-1][hierarchy.parents[:-1] == node].min() >= 60
    ]
    np.testing.assert_array_equal(larger.altitudes[larger.num_leaves :], kept)
    assert is_inside(hierarchy.leaves, larger.leaves)


def test_cut_to_a_number():
    hierarchy = noise_hierarchy(1)
    for number in (1, 2, 17, hierarchy.num_leaves):
        assert hierarchy.cut_to(number).max() + 1 == number
    assert hierarchy.cut_to(10**6).max() + 1 == hierarchy.num_leaves
    with pytest.raises(ValueError, match='num_regions must be at least 1, got 0'):
        hierarchy.cut_to(0)


def test_contours_are_the_borders_of_all_cuts():
    hierarchy = noise_hierarchy(2)
    right, below = hierarchy.contours()
    for threshold in (0.0, *np.quantile(hierarchy.altitudes, [0.6, 0.8, 0.95])):
        regions = hierarchy.cut(threshold)
        np.testing.assert_array_equal(
            right > np.float32(threshold), regions[:, 1:] != regions[:, :-1]
        )
        np.testing.assert_array_equal(below > np.float32(threshold), regions[1:] != regions[:-1])


@pytest.mark.parametrize('size', [(1, 1), (1, 9), (9, 1), (2, 2)])
def test_contours_of_narrow_images(size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    right, below = build_hierarchy(image).contours()
    assert right.shape == (size[0], size[1] - 1)
    assert below.shape == (size[0] - 1, size[1])


def test_detail_is_the_inverse_of_altitude():
    hierarchy = noise_hierarchy(0)
    details = np.linspace(0, 1, 21)
    altitudes = np.array([hierarchy.altitude(detail) for detail in details])
    assert (np.diff(altitudes) < 0).all()
    np.testing.assert_allclose(hierarchy.detail(altitudes), details, atol=1e-12)
    assert hierarchy.altitude(0.5) == hierarchy.middle
    assert hierarchy.num_regions(hierarchy.altitude(1)) == hierarchy.num_leaves
    with pytest.raises(ValueError, match=r'detail must be in \[0, 1\], got 1.5'):
        hierarchy.altitude(1.5)


def test_sums_over_nodes():
    hierarchy = noise_hierarchy(3)
    areas = hierarchy.areas()
    assert areas[-1] == hierarchy.leaves.size
    expected = np.zeros_like(areas)
    for leaf, area in enumerate(np.bincount(hierarchy.leaves.ravel())):
        node = leaf
        while True:
            expected[node] += area
            if node == hierarchy.parents[node]:
                break
            node = hierarchy.parents[node]
    np.testing.assert_array_equal(areas, expected)


LEAVES = np.array([[0, 1, 2]], dtype=np.int32)


@pytest.mark.parametrize(
    ('leaves', 'parents', 'altitudes', 'message'),
    [
        (LEAVES.astype(float), [3, 3, 4, 4, 4], [0, 0, 0, 1, 2], 'leaves must be'),
        (LEAVES - 1, [2, 2, 2], [0, 0, 1], 'numbered from 0, got -1'),
        (LEAVES, [3, 3, 4, 4], [0, 0, 0, 1], 'must have 2 x 3 - 1 entries'),
        (LEAVES, [3, 3, 3, 4, 4], [0, 0, 0, 1, 2], 'two children'),
        (LEAVES, [3, 3, 4, 4, 3], [0, 0, 0, 1, 2], 'its own parent, got 3'),
        (LEAVES, [3, 3, 4, 4, 4], [0, 0, 0, 2, 1], 'must not decrease'),
    ],
)
def test_no_tree(leaves, parents, altitudes, message):
    with pytest.raises(ValueError, match=message):
        RegionHierarchy(leaves, np.array(parents), np.array(altitudes, dtype=float))

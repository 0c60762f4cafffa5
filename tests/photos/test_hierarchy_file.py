import numpy as np
import pytest
from PIL import Image
from stand_ins import make_blocks, make_chain

from dynaseg.core.labels import connected_components
from dynaseg.core.regions import RegionHierarchy
from dynaseg.photos.hierarchy_file import encode_hierarchy, measure_borders, separate
from dynaseg.photos.regions import (
    STEPS,
    RegionChoice,
    find_detail,
    find_hierarchy,
    measure_steps,
)
from dynaseg.predictor import Segmentation

DETAILS = [0, 0.0001, 0.1, 0.3, 0.3333, 0.5, 0.7, 0.9, 0.9999, 1]


def same_regions(one, other):
    """Whether two maps of regions are the same but for the numbers."""
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return all(len(np.unique(side)) == pairs.shape[1] for side in pairs)


def read_regions(path, detail):
    """The regions of a file at a detail, as its documentation reads them."""
    right, lower = np.split(np.array(Image.open(path)), 2)
    return separate(right > 60000 * (1 - detail), lower > 60000 * (1 - detail))


@pytest.mark.parametrize('seed', range(5))
def test_regions_of_the_file_are_the_cuts_of_the_hierarchy(tmp_path, seed):
    hierarchy = make_blocks(seed=seed)
    (tmp_path / 'a.png').write_bytes(encode_hierarchy(hierarchy))
    counts = set()
    for detail in DETAILS:
        expected = hierarchy.cut(hierarchy.altitude(detail))
        assert same_regions(read_regions(tmp_path / 'a.png', detail), expected)
        counts.add(expected.max())
    assert len(counts) > 5


def test_altitudes_at_a_threshold_are_on_its_coarse_side(tmp_path):
    thresholds = [make_blocks().altitude(detail) for detail in (0.3, 0.5, 0.7)]
    hierarchy = make_chain([2, 1, 3, 1], sorted(thresholds))
    (tmp_path / 'a.png').write_bytes(encode_hierarchy(hierarchy))
    for detail, count in [(0.2999, 1), (0.3, 1), (0.3001, 2), (0.5, 2), (0.5001, 3), (0.7001, 4)]:
        assert read_regions(tmp_path / 'a.png', detail).max() + 1 == count
        assert hierarchy.cut(hierarchy.altitude(detail)).max() + 1 == count


def test_the_file_is_grey_of_16_bits_and_zero_where_there_is_no_border(tmp_path):
    hierarchy = make_blocks()
    (tmp_path / 'a.png').write_bytes(encode_hierarchy(hierarchy))
    with Image.open(tmp_path / 'a.png') as image:
        assert image.mode == 'I;16'
        assert image.size == (36, 48)
        right, lower = np.split(np.array(image), 2)
    leaves = hierarchy.leaves
    assert ((right[:, :-1] > 0) == (leaves[:, :-1] != leaves[:, 1:])).all()
    assert ((lower[:-1] > 0) == (leaves[:-1] != leaves[1:])).all()
    assert not right[:, -1].any()
    assert not lower[-1].any()


def test_stronger_borders_have_higher_values():
    borders = measure_borders(make_chain([1] * 5, [0.0, 0.5, 1.0, 9.0]))[0]
    assert borders[0] == 0  # of superpixels that even the finest detail joins
    assert borders[3] == 60003
    assert (np.diff(borders[:4].astype(int)) > 0).all()


def test_an_image_of_one_region(tmp_path):
    hierarchy = RegionHierarchy(np.zeros((2, 3), np.int32), np.array([0]), np.array([0.0]))
    (tmp_path / 'a.png').write_bytes(encode_hierarchy(hierarchy))
    assert read_regions(tmp_path / 'a.png', 1).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_regions_may_touch_at_corners_alone():
    right = np.array([[True, False], [True, False]])
    lower = np.array([[True, True], [False, False]])
    assert separate(right, lower).tolist() == [[0, 1], [2, 3]]


def test_steps_count_the_details_that_show_a_border():
    hierarchy = make_blocks()
    joins = hierarchy.altitudes[hierarchy.num_leaves :]
    steps = measure_steps(hierarchy)
    for detail in DETAILS:
        shown = joins > hierarchy.altitude(detail)
        assert ((steps > round(STEPS * (1 - detail))) == shown).all()


def test_the_detail_of_a_number_of_regions_shows_so_many():
    hierarchy = make_blocks()
    steps = measure_steps(hierarchy)
    for count in (1, 2, 7, 20, hierarchy.num_leaves):
        detail = find_detail(steps, count)
        assert hierarchy.num_regions(hierarchy.altitude(detail)) == count
        assert hierarchy.num_regions(hierarchy.altitude(max(0, detail - 0.0001))) < max(2, count)


def test_choices_of_regions():
    hierarchy = make_chain([1] * 5, [0.2, 0.9, 1.05, 1.2])
    counts = {detail: RegionChoice(detail).count(hierarchy) for detail in (0, 0.4, 0.5, 1)}
    assert counts == {0: 1, 0.4: 2, 0.5: 3, 1: 5}
    assert [RegionChoice(regions=number).count(hierarchy) for number in (1, 4, 5, 99)] == [
        1,
        4,
        5,
        5,
    ]


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        ({'detail': 1.2}, r'detail must be from 0 \(coarse\) to 1 \(fine\), got 1\.2'),
        ({'detail': float('nan')}, 'detail must be'),
        ({'regions': 0}, 'regions must be a positive integer, got 0'),
        ({'regions': 2.5}, 'regions must be a positive integer, got 2'),
        ({'min_area': -0.1}, 'min_area must be a share of the image, 0 to below 1, got -0'),
        ({'min_area': 1}, 'min_area must be'),
    ],
)
def test_unfit_choices_are_refused(options, text):
    with pytest.raises(ValueError, match=text):
        RegionChoice(**options)


def test_no_region_below_the_least_area_is_shown_at_any_detail():
    hierarchy = make_blocks((20, 20), size=2)
    larger = find_hierarchy(Segmentation(hierarchy.leaves, None, hierarchy), min_area=0.05)
    assert 1 < larger.num_leaves < hierarchy.num_leaves
    for count in range(1, larger.num_leaves + 1):
        assert np.bincount(larger.cut_to(count).ravel()).min() >= 20


def test_clusters_alone_have_their_parts_for_regions_at_every_detail():
    labels = np.random.default_rng(0).integers(0, 3, (8, 9))
    hierarchy = find_hierarchy(Segmentation(labels), min_area=0)
    for detail in DETAILS:
        regions = hierarchy.cut(hierarchy.altitude(detail))
        assert same_regions(regions, connected_components(labels))
    assert RegionChoice(regions=2).count(hierarchy) == 2

import numpy as np
import pytest

from dynaseg.core.regions import RegionHierarchy, build_hierarchy
from dynaseg.core.regions.graph import build_graph
from dynaseg.core.regions.groups import join_in_turn
from dynaseg.core.regions.spreading import EXPONENTS, spread_marks


@pytest.fixture
def hierarchy():
    """Of three squares on a noisy ground: two alike, one not."""
    rng = np.random.default_rng(0)
    image = rng.normal(60, 4, (60, 90, 3))
    image[10:30, 10:30] += (90, 0, 0)
    image[10:30, 60:80] += (90, 0, 0)
    image[40:55, 35:55] += (0, 90, 0)
    return build_hierarchy(image.clip(0, 255).astype(np.uint8))


def make_marks(points, size=(60, 90)):
    marks = np.full(size, -1)
    for (row, column), label in points.items():
        marks[row, column] = label
    return marks


def test_a_click_each_parts_a_square_from_its_ground(hierarchy):
    labels = spread_marks(hierarchy, make_marks({(20, 20): 0, (50, 5): 1}))
    assert labels.dtype == np.int32
    assert (labels[12:28, 12:28] == 0).all()
    assert (labels[:, 32:58][:8] == 1).all()


def test_what_no_mark_touches_is_of_the_rest(hierarchy):
    marks = make_marks({(20, 20): 0, (50, 5): 1})
    labels = spread_marks(hierarchy, marks, rest=1)
    subject = labels == 0
    expected = np.zeros_like(subject)
    expected[10:30, 10:30] = True
    assert (subject != expected).mean() < 0.01


def test_labels_are_of_any_size(hierarchy):
    points = {(20, 20): 0, (20, 70): 10**6, (50, 5): 7}
    marks = make_marks(points)
    labels = spread_marks(hierarchy, marks, rest=7)
    assert set(np.unique(labels)) == set(points.values())
    with pytest.raises(ValueError, match='marks must be labels of 0 to 2147483647'):
        spread_marks(hierarchy, make_marks({(20, 20): 2**40}))
    marks = np.where(marks < 0, 255, np.minimum(marks, 9)).astype(np.uint8)
    with pytest.raises(ValueError, match='rest must be'):
        spread_marks(hierarchy, marks, rest=3)
    assert (spread_marks(hierarchy, hierarchy.leaves.astype(np.uint64)) == hierarchy.leaves).all()


def test_one_label_alone_is_everywhere(hierarchy):
    assert (spread_marks(hierarchy, make_marks({(3, 3): 0})) == 0).all()


def test_marked_pixels_keep_their_labels(hierarchy):
    marks = make_marks({(20, 20): 0, (20, 21): 1, (20, 22): 2, (2, 2): 3})
    labels = spread_marks(hierarchy, marks, rest=3)
    assert (labels[marks >= 0] == marks[marks >= 0]).all()


def test_probabilities_are_those_of_walks_step_by_step():
    """Of a random walk that is taken until it has ended, on a small graph."""
    rng = np.random.default_rng(1)
    leaves = np.arange(12, dtype=np.int32).reshape(3, 4)
    parents = np.array([12, *range(12, 23), *range(13, 23), 22])
    altitudes = np.concatenate([np.zeros(12), np.sort(rng.uniform(0.05, 0.4, 11))])
    hierarchy = RegionHierarchy(leaves, parents, altitudes, middle=1.0)
    marks = np.full((3, 4), -1)
    marks[0, 0], marks[2, 3], marks[0, 3] = 0, 1, 2
    graph = build_graph(leaves)
    steps = np.zeros((12, 12))
    for one, other in graph.borders:
        altitude = altitudes[hierarchy.common_nodes(np.array([one]), np.array([other]))[0]]
        steps[one, other] = steps[other, one] = np.exp(-np.clip(16 * altitude, *EXPONENTS))
    steps /= steps.sum(axis=1, keepdims=True)
    seeds = np.flatnonzero(marks.ravel() >= 0)
    steps[seeds] = np.eye(12)[seeds]
    ended = np.linalg.matrix_power(steps, 2**30)[:, seeds]
    expected = marks.ravel()[seeds][ended.argmax(axis=1)]
    assert (spread_marks(hierarchy, marks).ravel() == expected).all()
    assert len(set(expected)) == 3


def test_bad_marks_are_refused(hierarchy):
    with pytest.raises(ValueError, match=r'size \(60, 90\) of the image, got \(5, 5\)'):
        spread_marks(hierarchy, np.zeros((5, 5), int))
    with pytest.raises(ValueError, match='no pixel is marked'):
        spread_marks(hierarchy, make_marks({}))
    with pytest.raises(ValueError, match=r'marks must be integers, .* got float64'):
        spread_marks(hierarchy, make_marks({(0, 0): 0}).astype(float))
    with pytest.raises(ValueError, match='rest must be the label of a mark, got 4'):
        spread_marks(hierarchy, make_marks({(0, 0): 0}), rest=4)


def test_every_superpixel_marked_needs_no_walk(hierarchy):
    marks = (hierarchy.leaves % 2).astype(int)
    assert (spread_marks(hierarchy, marks) == marks).all()


@pytest.mark.parametrize('seed', range(4))
def test_weak_borders_decide_between_marks_beyond_them(seed):
    cells = 20
    leaves = np.kron(np.arange(cells**2).reshape(cells, cells), np.ones((100, 100), int))
    leaves[:2, 0], leaves[-9:, -1] = cells**2, cells**2 + 1  # with a short and a long border
    graph = build_graph(leaves)
    altitudes = 0.05 * np.random.default_rng(seed).random(len(graph.borders))
    altitudes[(graph.borders >= cells**2).any(axis=1)] = 1.9
    order = np.argsort(altitudes)
    parents, places = join_in_turn(graph.borders[order].tolist(), cells**2 + 2)
    heights = np.r_[np.zeros(cells**2 + 2), altitudes[order][places]]
    marks = np.full(leaves.shape, -1)
    marks[0, 0], marks[-1, -1] = 0, 1
    labels = spread_marks(RegionHierarchy(leaves, parents, heights, 1.0), marks)
    assert (labels[leaves < cells**2] == 1).all()

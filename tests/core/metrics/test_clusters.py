import itertools

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import confusion_matrix, jaccard_score, recall_score
from sklearn.metrics.cluster import contingency_matrix

from dynaseg.core.metrics.clusters import (
    class_metrics,
    contingency_table,
    match_hungarian,
    match_majority,
    match_naming,
    nan_mean,
    sum_tables,
)


def matched_pixels(table, assignment):
    return sum(table[cluster, label] for cluster, label in enumerate(assignment) if label >= 0)


def random_table(rng, shape):
    return rng.integers(0, 1000, shape) * (rng.random(shape) < 0.6)


def test_table_equals_sklearns():
    rng = np.random.default_rng(0)
    clusters, classes = rng.integers(0, 6, (2, 20, 30))
    table = contingency_table(clusters, classes, num_classes=6)
    expected = contingency_matrix(classes.ravel(), clusters.ravel()).T
    np.testing.assert_array_equal(table, expected)
    assert table.dtype == np.int64


def test_table_by_hand_with_ignored_pixels():
    clusters = np.array([[0, 0, 2], [2, 4, 4]], dtype=np.uint8)
    classes = np.array([[1, 255, 0], [0, 255, 255]], dtype=np.uint8)
    expected = [[0, 1, 0], [0, 0, 0], [2, 0, 0], [0, 0, 0], [0, 0, 0]]
    np.testing.assert_array_equal(contingency_table(clusters, classes, 3), expected)


def test_table_of_ignored_pixels_alone_is_empty_of_counts():
    table = contingency_table(np.array([3, 1]), np.array([9, 9]), 2, ignore_index=9)
    assert table.shape == (4, 2)
    assert not table.any()


def test_table_refuses_other_shapes_and_classes():
    with pytest.raises(ValueError, match=r'the same shape, got \(2,\) and \(3,\)'):
        contingency_table(np.zeros(2, int), np.zeros(3, int), 2)
    with pytest.raises(ValueError, match=r'classes must lie in \[0, 2\) or be 255, got \[2, 200\]'):
        contingency_table(np.zeros(3, int), np.array([2, 200, 0]), 2)


def test_tables_of_different_numbers_of_clusters_add_up():
    total = sum_tables([np.array([[1, 2]]), np.array([[10, 20], [30, 40]])])
    np.testing.assert_array_equal(total, [[11, 22], [30, 40]])


@pytest.mark.parametrize('shape', [(27, 27), (40, 27), (5, 27), (1, 3), (100, 2)])
def test_matching_equals_scipys(shape):
    rng = np.random.default_rng(shape[0])
    for _ in range(20):
        table = random_table(rng, shape)
        rows, columns = linear_sum_assignment(-table)
        assignment = match_hungarian(table)
        assert matched_pixels(table, assignment) == table[rows, columns].sum()
        used = assignment[assignment >= 0]
        assert len(np.unique(used)) == len(used) == min(len(table), (table.sum(0) > 0).sum())


@pytest.mark.parametrize('shape', [(3, 3), (5, 3), (4, 5)])
def test_no_other_matching_is_better(shape):
    rng = np.random.default_rng(1)
    clusters, classes = shape
    for _ in range(10):
        table = random_table(rng, shape)
        few, many = sorted(shape)
        tall = table if clusters >= classes else table.T
        pairings = itertools.permutations(range(many), few)
        best = max(tall[rows, range(few)].sum() for rows in map(list, pairings))
        assert matched_pixels(table, match_hungarian(table)) == best


def test_forty_clusters_and_twenty_seven_classes():
    # Class c is spread over cluster c (60 pixels) and, the first 13, over cluster 27 + c (40 too).
    table = np.zeros((40, 27), dtype=np.int64)
    table[np.arange(27), np.arange(27)] = 60
    table[np.arange(27, 40), np.arange(13)] = 40
    shuffled = np.random.default_rng(0).permutation(40)
    table = table[shuffled]
    assignment = match_hungarian(table)
    np.testing.assert_array_equal(assignment, np.where(shuffled < 27, shuffled, -1))
    metrics = class_metrics(table, assignment)
    iou = np.where(np.arange(27) < 13, 0.6, 1.0)  # the spare clusters' 40 of 100 pixels are missed
    np.testing.assert_allclose(metrics.iou, iou)
    np.testing.assert_allclose(metrics.recall, iou)
    assert metrics.mean_iou == pytest.approx((13 * 0.6 + 14) / 27)
    assert metrics.accuracy == pytest.approx(27 * 60 / (27 * 60 + 13 * 40))
    # A majority vote joins the spare clusters with the others of their class.
    majority = match_majority(table)
    np.testing.assert_array_equal(majority, np.where(shuffled < 27, shuffled, shuffled - 27))
    assert class_metrics(table, majority).mean_iou == 1


def test_absent_classes_take_no_cluster_and_no_part_in_the_means():
    table = np.array([[0, 5, 0], [0, 0, 0], [0, 2, 3]])
    assignment = match_hungarian(table)
    assert assignment[0] == 1
    assert assignment[2] == 2
    metrics = class_metrics(table, assignment)
    np.testing.assert_allclose(metrics.iou, [np.nan, 5 / 7, 3 / 5])
    np.testing.assert_allclose(metrics.recall, [np.nan, 5 / 7, 1])
    assert metrics.mean_iou == pytest.approx((5 / 7 + 3 / 5) / 2)
    assert metrics.mean_recall == pytest.approx((5 / 7 + 1) / 2)


def test_metrics_by_hand():
    #          class 0  1
    table = np.array([[8, 1], [2, 6], [0, 3]])
    metrics = class_metrics(table, np.array([0, 1, -1]))
    assert metrics.accuracy == pytest.approx(14 / 20)
    np.testing.assert_allclose(metrics.iou, [8 / 11, 6 / 12])
    np.testing.assert_allclose(metrics.recall, [8 / 10, 6 / 10])


def test_metrics_equal_sklearns():
    rng = np.random.default_rng(2)
    classes = rng.integers(0, 7, 5000)
    predicted = np.where(rng.random(5000) < 0.6, classes, rng.integers(0, 7, 5000))
    clusters = rng.permutation(7)[predicted]
    table = contingency_table(clusters, classes, 7)
    assignment = match_hungarian(table)
    metrics = class_metrics(table, assignment)
    translated = assignment[clusters]
    np.testing.assert_array_equal(translated, predicted)
    np.testing.assert_allclose(metrics.iou, jaccard_score(classes, translated, average=None))
    np.testing.assert_allclose(metrics.recall, recall_score(classes, translated, average=None))
    confusion = confusion_matrix(classes, translated)
    assert metrics.accuracy == pytest.approx(confusion.trace() / confusion.sum())


def test_nothing_labelled_gives_nan_without_a_warning(recwarn):
    metrics = class_metrics(np.zeros((3, 2), int), match_hungarian(np.zeros((3, 2), int)))
    assert np.isnan([metrics.accuracy, metrics.mean_iou, metrics.mean_recall]).all()
    assert not recwarn.list


def test_majority_leaves_clusters_without_pixels_out():
    np.testing.assert_array_equal(match_majority(np.array([[0, 0], [1, 2]])), [-1, 1])


def test_naming_finds_what_trying_all_finds():
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(20):
        # Five clusters of one frequent and two rare classes.
        table = rng.integers(0, 20, (5, 3)) * [20, 2, 1]
        scores = [
            (metrics := class_metrics(table, np.array(assignment))).mean_iou + metrics.accuracy
            for assignment in itertools.product(range(3), repeat=5)
        ]
        metrics = class_metrics(table, match_naming(table))
        majority = class_metrics(table, match_majority(table))
        score = metrics.mean_iou + metrics.accuracy
        assert score >= majority.mean_iou + majority.accuracy
        found += score == pytest.approx(max(scores))
    assert found >= 15  # a local maximum, from the majority


def test_naming_leaves_clusters_without_pixels_out():
    np.testing.assert_array_equal(match_naming(np.array([[0, 0], [1, 2]])), [-1, 1])
    np.testing.assert_array_equal(match_naming(np.zeros((2, 3), int)), [-1, -1])


def test_mean_passes_nan_over():
    assert nan_mean([1.0, np.nan, 3.0]) == 2
    assert np.isnan(nan_mean([np.nan]))


@pytest.mark.parametrize('clusters', [[-1, 0], [0, 2**40], [0.5, 1.0], [0.0, np.nan]])
def test_clusters_that_are_none_are_refused(clusters):
    with pytest.raises(ValueError, match='clusters must'):
        contingency_table(np.array(clusters), np.array([0, 1]), 2)


def test_classes_are_integers():
    with pytest.raises(ValueError, match='classes must be integers, got float64'):
        contingency_table(np.array([0, 1]), np.array([0.0, 1.0]), 2)


@pytest.mark.parametrize(
    ('tables', 'message'),
    [([], 'at least one table'), ([np.ones((2, 3)), np.ones((2, 4))], r'classes, got \[3, 4\]')],
)
def test_tables_that_do_not_add_up_are_refused(tables, message):
    with pytest.raises(ValueError, match=message):
        sum_tables(tables)

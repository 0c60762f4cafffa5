import math
import os
import pickle
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from scipy.io import loadmat
from skimage.metrics import variation_of_information
from sklearn.metrics import rand_score

from dynaseg.core.metrics.regions import (
    REGION_METRICS,
    connected_components,
    region_statistics,
    summarize_regions,
)

DATA = os.environ.get('DYNASEG_TEST_DATA')
HALVES = np.array([[0, 0, 1, 1], [0, 0, 1, 1]])


def blobs(rng, shape, num_labels, sigma=1.5):
    """Random maps with regions of many sizes."""
    noise = ndimage.gaussian_filter(rng.normal(size=shape), sigma)
    return np.digitize(noise, np.quantile(noise, np.linspace(0, 1, num_labels + 1)[1:-1]))


def flood(labels):
    """Connected components by flood fill, numbered in order of appearance."""
    components = np.full(labels.shape, -1)
    number = 0
    for start in np.ndindex(labels.shape):
        if components[start] >= 0:
            continue
        stack = [start]
        components[start] = number
        while stack:
            y, x = stack.pop()
            for there in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                inside = 0 <= there[0] < labels.shape[0] and 0 <= there[1] < labels.shape[1]
                if inside and components[there] < 0 and labels[there] == labels[start]:
                    components[there] = number
                    stack.append(there)
        number += 1
    return components


def literal(predicted, truth):
    """The definitions, set by set and class by class, on maps of which every pixel counts."""
    pixels = truth.size
    parts = {k: set(np.flatnonzero(predicted.ravel() == k)) for k in np.unique(predicted)}
    wholes = {s: set(np.flatnonzero(truth.ravel() == s)) for s in np.unique(truth)}
    ious = {
        s: max(len(whole & part) / len(whole | part) for part in parts.values())
        for s, whole in wholes.items()
    }
    covering = sum(len(wholes[s]) / pixels * iou for s, iou in ious.items())
    pairs = [len(a & b) for a in wholes.values() for b in parts.values()]
    entropy = [
        -sum(n / pixels * math.log2(n / pixels) for n in sizes if n)
        for sizes in (map(len, parts.values()), map(len, wholes.values()), pairs)
    ]
    variation = (entropy[2] - entropy[0]) + (entropy[2] - entropy[1])
    return list(ious.values()), covering, variation


def test_components_join_four_neighbours_of_one_label():
    labels = np.array([[3, 3, 8], [8, 3, 3], [8, 8, 3]], dtype=np.uint8)
    components = connected_components(labels)
    assert components.dtype == np.int32
    assert components.tolist() == [[0, 0, 1], [2, 0, 0], [2, 2, 0]]


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.int64])
def test_components_equal_flood_fill(dtype):
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (1, 9), (9, 1), (12, 17)):
        labels = rng.integers(0, 3, shape).astype(dtype)
        assert (connected_components(labels) == flood(labels)).all()


def test_negative_labels_are_labels():
    assert connected_components(np.array([[-1, -1, 4, -1]])).tolist() == [[0, 0, 1, 2]]


def test_hand_computed_case():
    truth = np.array([[5, 5, 5, 9], [5, 5, 5, 9]])
    statistics = region_statistics(HALVES, [truth])
    # Segment 5 has 6 pixels: the left half meets it in 4 of 6, the right in 2 of 8.
    assert statistics.segment_ious[0] == pytest.approx([4 / 6, 2 / 4])
    assert statistics.coverings == pytest.approx([(6 * 4 / 6 + 2 * 2 / 4) / 8])
    # The joint segments have 4, 2 and 2 pixels: of 28 pairs, 8 are together in both; 12 and 16 are
    # together in one of the two maps.
    assert statistics.rand_indices == pytest.approx([(8 + 28 - (12 + 16 - 8)) / 28])
    # H(joint) = 1.5 bits, H(prediction) = 1 bit.
    true_entropy = -(6 / 8 * math.log2(6 / 8) + 2 / 8 * math.log2(2 / 8))
    assert statistics.variations == pytest.approx([2 * 1.5 - 1 - true_entropy])
    assert statistics.num_components == 2


def test_equal_maps_are_perfect_whatever_the_numbers():
    labels = flood(blobs(np.random.default_rng(1), (20, 30), 4))
    statistics = region_statistics(labels, [1000 - 3 * labels])
    assert (statistics.segment_ious[0] == 1).all()
    assert statistics.coverings == statistics.rand_indices == 1
    assert statistics.variations == pytest.approx([0], abs=1e-12)
    assert statistics.variations >= 0


def test_single_pixel():
    statistics = region_statistics(np.array([[3]]), [np.array([[7]])])
    assert statistics.rand_indices == statistics.coverings == 1
    assert statistics.variations == 0


@pytest.mark.parametrize('seed', range(5))
def test_equals_a_literal_implementation(seed):
    rng = np.random.default_rng(seed)
    labels = blobs(rng, (14, 19), 5, sigma=1)
    annotations = [blobs(rng, (14, 19), count) * 7 + 2 for count in (2, 6, 11)]
    statistics = region_statistics(labels, annotations)
    components = flood(labels)
    assert statistics.num_components == components.max() + 1
    for number, truth in enumerate(annotations):
        ious, covering, variation = literal(components, truth)
        assert statistics.segment_ious[number] == pytest.approx(ious)
        assert statistics.coverings[number] == pytest.approx(covering)
        assert statistics.variations[number] == pytest.approx(variation)
        pairs = combinations(zip(components.flat, truth.flat, strict=True), 2)
        agreements = [(a[0] == b[0]) == (a[1] == b[1]) for a, b in pairs]
        assert statistics.rand_indices[number] == pytest.approx(np.mean(agreements))


def test_agrees_with_scikit_image_and_scikit_learn():
    rng = np.random.default_rng(7)
    labels, truth = blobs(rng, (60, 80), 6), blobs(rng, (60, 80), 9, sigma=4)
    statistics = region_statistics(labels, [truth])
    components = connected_components(labels)
    assert statistics.rand_indices[0] == pytest.approx(
        rand_score(truth.ravel(), components.ravel())
    )
    assert statistics.variations[0] == pytest.approx(
        sum(variation_of_information(truth + 1, components + 1, ignore_labels=()))
    )


def test_whole_labels_as_segments():
    labels = np.array([[0, 1, 0, 1]])
    truth = np.array([[1, 2, 1, 2]])
    as_labels = region_statistics(labels, [truth], components=False)
    assert as_labels.segment_ious[0].tolist() == [1, 1]
    assert as_labels.num_components == 2
    as_components = region_statistics(labels, [truth])
    assert as_components.segment_ious[0].tolist() == [0.5, 0.5]
    assert as_components.num_components == 4


def test_ignored_pixels_count_nowhere():
    rng = np.random.default_rng(3)
    labels = blobs(rng, (25, 30), 5)
    truth = blobs(rng, (25, 30), 4).astype(np.uint8)
    truth[5:9, 3:20] = 255
    # What the components are does not depend on what is ignored; only the areas do.
    components = connected_components(labels)
    counted = truth != 255
    expected = region_statistics(
        components[counted][None], [truth[counted][None]], components=False
    )
    statistics = region_statistics(labels, [truth], ignore_index=255)
    np.testing.assert_allclose(statistics.segment_ious, expected.segment_ious)
    for name in ('coverings', 'rand_indices', 'variations'):
        np.testing.assert_allclose(getattr(statistics, name), getattr(expected, name))
    assert statistics.num_components == components.max() + 1
    everything = region_statistics(labels, [truth])
    assert len(everything.segment_ious[0]) == len(statistics.segment_ious[0]) + 1


def test_annotations_without_a_counted_pixel_take_no_part():
    void = np.full_like(HALVES, 255)
    statistics = region_statistics(HALVES, [void, HALVES], ignore_index=255)
    assert [len(ious) for ious in statistics.segment_ious] == [2]
    nothing = region_statistics(HALVES, [void], ignore_index=255)
    assert summarize_regions([nothing, statistics])['mIoU'] == 1
    assert summarize_regions([nothing, statistics])['PRI'] == 1
    assert math.isnan(summarize_regions([nothing])['covering'])
    assert summarize_regions([nothing])['components'] == 2


def test_summary_pools_segments_and_averages_images():
    thirds = np.array([[0, 1, 2, 2], [0, 1, 2, 2]])
    one = np.zeros_like(HALVES)
    first = region_statistics(HALVES, [one, thirds])  # IoU 1/2; 1/2, 1/2, 1
    second = region_statistics(one, [one, one, HALVES])  # IoU 1; 1; 1/2, 1/2
    metrics = summarize_regions([first, second])
    assert tuple(metrics) == REGION_METRICS
    assert metrics['mIoU'] == pytest.approx((0.5 + 0.5 + 0.5 + 1 + 1 + 1 + 0.5 + 0.5) / 8)
    assert metrics['mIoU_fine'] == pytest.approx((0.5 + 0.5 + 1 + 0.5 + 0.5) / 5)
    assert metrics['mIoU_coarse'] == pytest.approx((0.5 + 1) / 2)
    # By annotation: 1/2 and 3/4; 1, 1 and 1/2.
    assert metrics['covering'] == pytest.approx(((0.5 + 0.75) / 2 + 2.5 / 3) / 2)
    # One bit tells halves from one, half a bit thirds from halves.
    assert metrics['VoI'] == pytest.approx(((1 + 0.5) / 2 + 1 / 3) / 2)
    # Of 28 pairs 16 are torn apart by the halves; the thirds tear apart another 4.
    assert metrics['PRI'] == pytest.approx(((12 / 28 + 24 / 28) / 2 + (1 + 1 + 12 / 28) / 3) / 2)
    assert metrics['components'] == 1.5
    assert all(type(value) is float for value in metrics.values())


def test_statistics_survive_pickling():
    statistics = [region_statistics(HALVES, [HALVES, 1 - HALVES])]
    assert summarize_regions(pickle.loads(pickle.dumps(statistics))) == summarize_regions(
        statistics
    )


@pytest.mark.parametrize(
    ('labels', 'annotations', 'message'),
    [
        (HALVES / 2, [HALVES], 'labels must be .* integers, got float64'),
        (HALVES[0], [HALVES], r'labels must be .* of shape \(4,\)'),
        (HALVES[:0], [HALVES], 'labels must be a non-empty map'),
        (HALVES, [], 'at least one annotation'),
        (HALVES, [HALVES, HALVES[:1]], r'annotation 2 must have the same shape, .* \(1, 4\)'),
        (HALVES, [HALVES > 0], 'annotation 1 must be .* integers, got bool'),
    ],
)
def test_bad_input_is_refused(labels, annotations, message):
    with pytest.raises(ValueError, match=message):
        region_statistics(labels, annotations)


def test_nothing_to_summarize_is_refused():
    with pytest.raises(ValueError, match='no region statistics'):
        summarize_regions([])


@pytest.mark.skipif(not DATA, reason='DYNASEG_TEST_DATA does not name a folder with bsds500/')
def test_equals_literal_measures_on_real_annotations():
    path = sorted(Path(DATA, 'bsds500/groundTruth/val').glob('*.mat'))[0]
    cells = loadmat(path)['groundTruth'].ravel()
    annotations = [cell['Segmentation'].item()[:160, :160] for cell in cells]
    labels = blobs(np.random.default_rng(0), annotations[0].shape, 4, sigma=8)
    components = flood(labels)
    statistics = region_statistics(labels, annotations)
    for number, truth in enumerate(annotations):
        ious, covering, variation = literal(components, truth)
        assert statistics.segment_ious[number] == pytest.approx(ious)
        assert statistics.coverings[number] == pytest.approx(covering)
        assert statistics.variations[number] == pytest.approx(variation)
        assert statistics.rand_indices[number] == pytest.approx(
            rand_score(truth.ravel(), components.ravel())
        )

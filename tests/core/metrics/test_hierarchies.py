import numpy as np
import pytest
from scipy import ndimage

from dynaseg.core.metrics.hierarchies import hierarchy_statistics, summarize_hierarchies
from dynaseg.core.metrics.regions import region_statistics, summarize_regions
from dynaseg.core.regions.build import build_hierarchy

THRESHOLDS = np.array([*np.linspace(-0.1, 2.5, 14), np.inf])


def blobs(rng, size, count):
    noise = ndimage.gaussian_filter(rng.normal(size=size), 3)
    return np.digitize(noise, np.quantile(noise, np.linspace(0, 1, count + 1)[1:-1]))


def sample(seed, size=(40, 50)):
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=(*size, 3)), (1.5, 1.5, 0))
    image = (255 * (noise - noise.min()) / np.ptp(noise)).astype(np.uint8)
    annotations = [blobs(rng, size, count) + shift for count, shift in ((2, 0), (5, 3), (9, 1))]
    return build_hierarchy(image), annotations


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('ignore_index', [None, 4])
def test_as_each_cut_compared_by_itself(seed, ignore_index):
    hierarchy, annotations = sample(seed)
    found = hierarchy_statistics(hierarchy, annotations, THRESHOLDS, ignore_index)
    for place, threshold in enumerate(THRESHOLDS):
        labels = hierarchy.cut(threshold) if threshold >= 0 else hierarchy.leaves
        expected = region_statistics(labels, annotations, ignore_index)
        assert found.num_regions[place] == expected.num_components
        np.testing.assert_allclose(found.coverings[place], expected.coverings, rtol=1e-12)
        np.testing.assert_allclose(found.rand_indices[place], expected.rand_indices, rtol=1e-12)
        np.testing.assert_allclose(
            found.variations[place], expected.variations, rtol=1e-10, atol=1e-12
        )
        for ious, own in zip(found.segment_ious, expected.segment_ious, strict=True):
            np.testing.assert_allclose(ious[place], own, rtol=1e-12)


def test_an_annotation_that_is_ignored_takes_no_part():
    hierarchy, annotations = sample(0)
    ignored = np.full_like(annotations[0], 255)
    found = hierarchy_statistics(hierarchy, [ignored, *annotations], THRESHOLDS, 255)
    alone = hierarchy_statistics(hierarchy, annotations, THRESHOLDS)
    np.testing.assert_array_equal(found.coverings, alone.coverings)
    nothing = hierarchy_statistics(hierarchy, [ignored], THRESHOLDS, 255)
    assert nothing.coverings.shape == (len(THRESHOLDS), 0)
    assert nothing.segment_ious == ()


def test_sparse_segment_numbers():
    hierarchy, annotations = sample(1)
    found = hierarchy_statistics(hierarchy, [annotations[1] * 10**9], THRESHOLDS)
    expected = hierarchy_statistics(hierarchy, annotations[1:2], THRESHOLDS)
    np.testing.assert_array_equal(found.variations, expected.variations)


def test_summary():
    samples = [sample(seed) for seed in range(3)]
    statistics = [hierarchy_statistics(*pair, THRESHOLDS) for pair in samples]
    summary = summarize_hierarchies(statistics, THRESHOLDS, THRESHOLDS[6])
    by_cut = [
        summarize_regions(
            [
                region_statistics(h.cut(t) if t >= 0 else h.leaves, annotations)
                for h, annotations in samples
            ]
        )
        for t in THRESHOLDS
    ]
    for name, best in (('covering', max), ('PRI', max), ('VoI', min)):
        assert summary[f'{name}_ODS'] == pytest.approx(best(cut[name] for cut in by_cut))
    assert summary['covering_OIS'] >= summary['covering_ODS']
    assert summary['VoI_OIS'] <= summary['VoI_ODS']
    finest = max(by_cut, key=lambda cut: cut['mIoU'])
    for name, cut in (('default', by_cut[6]), ('finest', finest)):
        for key in ('mIoU', 'mIoU_fine', 'mIoU_coarse', 'covering', 'PRI', 'VoI'):
            assert summary[f'{name}_{key}'] == pytest.approx(cut[key])
        assert summary[f'{name}_regions'] == pytest.approx(cut['components'])


def test_default_must_be_among_the_thresholds():
    hierarchy, annotations = sample(0)
    statistics = [hierarchy_statistics(hierarchy, annotations, [1.0, 2.0])]
    with pytest.raises(ValueError, match='a default among the thresholds'):
        summarize_hierarchies(statistics, [1.0, 2.0], 1.5)


def test_a_set_without_counted_pixels_is_refused():
    hierarchy, annotations = sample(0)
    nothing = np.full_like(annotations[0], 255)
    statistics = [hierarchy_statistics(hierarchy, [nothing], [1.0], 255)]
    with pytest.raises(ValueError, match='none of 1 images has an annotation with counted pixels'):
        summarize_hierarchies(statistics, [1.0], 1.0)


def test_shapes_are_checked():
    hierarchy, annotations = sample(0)
    with pytest.raises(ValueError, match='annotation 2 must have the same shape'):
        hierarchy_statistics(hierarchy, [annotations[0], annotations[0][:5]], [1.0])
    with pytest.raises(ValueError, match='at least one annotation and one threshold'):
        hierarchy_statistics(hierarchy, [], [1.0])

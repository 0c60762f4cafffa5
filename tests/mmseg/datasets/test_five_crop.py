import numpy as np
import pytest

from dynaseg.mmseg.datasets.pipelines import RandomFiveCrop


def test_crops_are_the_corners_and_the_middle():
    img = np.arange(10 * 14 * 3).reshape(10, 14, 3)
    expected = [
        img[rows, columns]
        for rows, columns in [
            (slice(0, 5), slice(0, 7)),
            (slice(0, 5), slice(7, 14)),
            (slice(5, 10), slice(0, 7)),
            (slice(5, 10), slice(7, 14)),
            (slice(2, 7), slice(4, 11)),
        ]
    ]
    found = set()
    np.random.seed(0)
    for _ in range(60):
        results = RandomFiveCrop(0.5)({'img': img})
        assert results['img_shape'] == results['pad_shape'] == (5, 7, 3)
        found.add([np.array_equal(results['img'], one) for one in expected].index(True))
    assert found == set(range(5))


def test_masks_are_cropped_with_their_images():
    mask = np.arange(140).reshape(10, 14)
    results = {'img': np.dstack([mask] * 3), 'gt_semantic_seg': mask}
    cropped = RandomFiveCrop(0.5)(results | {'seg_fields': ['gt_semantic_seg']})
    assert np.array_equal(cropped['img'][..., 0], cropped['gt_semantic_seg'])


@pytest.mark.parametrize('ratio', [0, -1, 1.5])
def test_ratio_is_a_share(ratio):
    with pytest.raises(ValueError, match='ratio must be above 0 and at most 1'):
        RandomFiveCrop(ratio)

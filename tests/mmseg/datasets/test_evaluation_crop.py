import numpy as np
import pytest
from mmcv import ConfigDict
from mmseg.datasets import build_dataset
from mmseg.datasets.pipelines import Compose
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import center_crop, resize

from dynaseg.mmseg.datasets import EvaluationCrop

PIPELINE = [
    {'type': 'LoadImage'},
    {
        'type': 'MultiScaleFlipAug',
        'img_scale': None,
        'img_ratios': [1.0],
        'flip': False,
        'transforms': [
            {'type': 'ImageToTensor', 'keys': ['img']},
            {
                'type': 'Collect',
                'keys': ['img'],
                'meta_keys': ['ori_shape', 'img_shape', 'pad_shape', 'flip'],
            },
        ],
    },
]


def build(root, **options):
    config = {
        'type': 'CocoStuff27Dataset',
        'pipeline': PIPELINE,
        'subset': 'val2017',
        'data_root': str(root),
        'test_mode': True,
    }
    return build_dataset(ConfigDict(config, **options))


@pytest.mark.parametrize('shape', [(60, 91), (91, 60), (40, 40), (20, 33)])
def test_crop_is_the_middle_of_the_scaled_image(shape):
    # The position from the middle, in shares of the shorter side, as levels of grey.
    grid = np.stack(np.meshgrid(*(np.arange(n) + 0.5 - n / 2 for n in shape), indexing='ij'), -1)
    grid = np.clip(128 + 200 * grid / min(shape), 0, 255).round().astype(np.uint8)
    crop = EvaluationCrop(40).crop(np.dstack([grid, grid[..., :1]]), 'bilinear')
    expected = 128 + 200 * (np.arange(40) + 0.5 - 20) / 40
    inner = slice(2, 38)  # beyond the outermost centroids, interpolation is constant
    # An odd margin leaves the crop half a pixel off: 2.5 levels.
    np.testing.assert_allclose(crop[inner, 5, 0], expected[inner], atol=4)
    np.testing.assert_allclose(crop[5, inner, 1], expected[inner], atol=4)


def test_labels_are_not_mixed():
    labels = np.random.default_rng(0).choice([3, 9, 255], (50, 70)).astype(np.uint8)
    crop = EvaluationCrop(20).crop(labels, 'nearest')
    assert crop.shape == (20, 20)
    assert set(np.unique(crop)) == {3, 9, 255}


def test_ground_truth_follows_the_images(sample_data):
    whole, cropped = build(sample_data), build(sample_data, evaluation_crop=32)
    meta = cropped[0]['img_metas'][0].data
    assert cropped[0]['img'][0].shape == (3, 32, 32)
    assert meta['ori_shape'] == meta['img_shape'] == (32, 32, 3)
    assert whole.read_classes(0).shape == (40, 48)
    expected = np.array(
        Image.fromarray(whole.read_classes(0)).resize((38, 32), Image.Resampling.NEAREST)
    )[:, 3:35]
    np.testing.assert_array_equal(cropped.read_classes(0), expected)
    counts = cropped.pre_eval([np.zeros((32, 32), int)], [0])
    assert counts[0].table.sum() == (cropped.read_classes(0) != 255).sum()


@pytest.mark.parametrize(
    ('shape', 'scaled'),
    [((480, 640), (320, 426)), ((640, 427), (479, 320)), ((20, 33), (320, 528))],
)
def test_sizes_and_places_are_torchvisions(shape, scaled):
    labels = np.random.default_rng(0).integers(0, 27, shape, dtype=np.uint8)
    resized = resize(Image.fromarray(labels), 320, InterpolationMode.NEAREST)
    assert resized.size == scaled[::-1]
    expected = np.array(center_crop(resized, 320))
    np.testing.assert_array_equal(EvaluationCrop(320).crop(labels, 'nearest'), expected)


def test_masks_are_cropped_with_their_images():
    mask = np.arange(48, dtype=np.uint8).reshape(6, 8)
    results = {'img': np.dstack([mask] * 3), 'gt_semantic_seg': mask}
    cropped = EvaluationCrop(6)(results | {'seg_fields': ['gt_semantic_seg']})
    assert np.array_equal(cropped['img'][..., 0], cropped['gt_semantic_seg'])


def test_stands_in_a_pipeline():
    results = {'img': np.zeros((50, 70, 3), np.uint8), 'ori_shape': (50, 70, 3)}
    results = Compose([{'type': 'EvaluationCrop'}])(results)
    assert results['img'].shape == results['ori_shape'] == results['pad_shape'] == (320, 320, 3)


@pytest.mark.parametrize('size', [0, -1, 2.5, '320'])
def test_size_is_a_positive_integer(size):
    with pytest.raises(ValueError, match='size must be a positive integer'):
        EvaluationCrop(size)

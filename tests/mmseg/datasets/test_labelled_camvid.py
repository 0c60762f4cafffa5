import numpy as np
import pytest
from mmseg.datasets import build_dataset
from PIL import Image

from dynaseg.mmseg.checks.settings import check_metrics
from dynaseg.mmseg.configs import load_config
from dynaseg.mmseg.datasets import LabelledCamVidDataset, camvid

VOID = 11


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Eight images and their masks, of which six are for training."""
    monkeypatch.setattr(camvid, 'NUM_IMAGES', {'train': 8})
    monkeypatch.setattr(camvid, 'NUM_LAST', 2)
    for folder in ('train', 'trainannot'):
        (tmp_path / folder).mkdir()
    rng = np.random.default_rng(0)
    for name in 'abcdefgh':
        pixels = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f'train/{name}.jpg')
        mask = rng.integers(0, VOID, (60, 80), dtype=np.uint8)
        Image.fromarray(mask).save(tmp_path / f'trainannot/{name}.png')
    return str(tmp_path)


def test_classes_are_evaluated_without_matching(root):
    dataset = LabelledCamVidDataset([], subset='val', data_root=root, test_mode=True)
    truth = [dataset.get_gt_seg_map_by_idx(index) for index in range(2)]
    results = [result for i in range(2) for result in dataset.pre_eval([truth[i]], [i])]
    assert dataset.evaluate(results)['mIoU'] == 1
    shifted = [dataset.pre_eval([(truth[i] + 1) % VOID], [i])[0] for i in range(2)]
    assert dataset.evaluate(shifted)['mIoU'] == 0


def test_labelled_images_are_evenly_spaced(root):
    dataset = LabelledCamVidDataset([], data_root=root, max_images=3)
    assert [info['filename'][0] for info in dataset.img_infos] == ['a', 'c', 'e']
    with pytest.raises(ValueError, match='max_images must be at least 1, got 0'):
        LabelledCamVidDataset([], data_root=root, max_images=0)


def test_half_of_what_is_drawn_has_labels(root):
    config = load_config('semi_supervised/fcn_efficientnet-lite0_100-dynaseg_camvid.py')
    config.merge_from_dict(
        {
            'data.train.0.times': 3,
            'data.train.0.dataset.max_images': 2,
            'data.train.0.dataset.data_root': root,
            'data.train.1.data_root': root,
        }
    )
    dataset = build_dataset(config.data.train)
    drawn = [dataset[index] for index in range(len(dataset))]
    masks = [one['gt_semantic_seg'].data for one in drawn]
    assert [bool((mask == VOID).all()) for mask in masks] == [False] * 6 + [True] * 6
    assert {mask.shape for mask in masks} == {(1, 180, 240)}
    names = [one['img_metas'].data['ori_filename'][0] for one in drawn]
    assert sorted(set(names[:6])) == ['a', 'd']
    assert sorted(names[6:]) == list('abcdef')


def test_metrics_are_those_of_mmsegmentation(root):
    config = {'type': 'LabelledCamVidDataset'}
    check_metrics('--eval', ['mIoU', 'mDice', 'mFscore'], config)
    with pytest.raises(ValueError, match="--eval='majority': LabelledCamVidDataset supports mIoU"):
        check_metrics('--eval', ['majority'], config)
    dataset = LabelledCamVidDataset([], subset='val', data_root=root, test_mode=True)
    truth = [dataset.get_gt_seg_map_by_idx(index) for index in range(2)]
    results = [result for i in range(2) for result in dataset.pre_eval([truth[i]], [i])]
    figures = dataset.evaluate(results, ['mDice', 'mFscore'])
    assert (figures['mDice'], figures['mFscore']) == (1, 1)

import logging
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv import Config
from mmcv.parallel import MMDataParallel
from mmseg.apis import single_gpu_test
from mmseg.datasets import build_dataloader, build_dataset
from PIL import Image
from scipy.io import savemat

from dynaseg.core.metrics.regions import REGION_METRICS, region_statistics, summarize_regions
from dynaseg.mmseg.datasets.bsds import BSDS500Dataset, read_bsds_annotations
from dynaseg.mmseg.errors import UserError

DATA = os.environ.get('DYNASEG_TEST_DATA')
CONFIGS = Path(__file__).parents[3] / 'configs' / '_base_' / 'datasets'
SHAPE = (6, 9)
NAMES = ('10', '20', '30', '40', '50')


def write_annotations(path, maps):
    cells = np.empty((1, len(maps)), dtype=object)
    for number, segments in enumerate(maps):
        cells[0, number] = {'Segmentation': segments, 'Boundaries': np.zeros_like(segments)}
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {'groundTruth': cells})


def annotate(name):
    """Two annotations: columns left and right of the middle, and a row more."""
    halves = np.ones(SHAPE, dtype=np.uint16)
    halves[:, int(name) // 10 :] = 255  # a segment like any other
    more = halves.copy()
    more[0] = 7
    return [halves, more]


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / 'images/val').mkdir(parents=True)
    (tmp_path / 'images/val/Thumbs.db').write_bytes(b'')
    for name in NAMES:
        image = Image.fromarray(rng.integers(0, 256, (*SHAPE, 3), dtype=np.uint8))
        image.save(tmp_path / f'images/val/{name}.jpg')
        write_annotations(tmp_path / f'groundTruth/val/{name}.mat', annotate(name))
    return tmp_path


def build(root, **kwargs):
    kwargs = {'img_dir': 'images/val', 'ann_dir': 'groundTruth/val', 'test_mode': True, **kwargs}
    return BSDS500Dataset([], data_root=str(root), **kwargs)


def load(dataset):
    options = {'shuffle': False, 'persistent_workers': False, 'pin_memory': False}
    return build_dataloader(dataset, samples_per_gpu=1, workers_per_gpu=0, dist=False, **options)


class Perfect(torch.nn.Module):
    """Predicts the first annotation."""

    def forward(self, img, img_metas, return_loss, rescale=True):
        (meta,) = img_metas[0]
        assert meta['ori_shape'] == (*img[0].shape[2:], 3)
        return [annotate(Path(meta['filename']).stem)[0].astype(np.int64)]


def test_lists_images_and_reads_all_annotations(root):
    dataset = build(root)
    assert [info['filename'] for info in dataset.img_infos] == [f'{name}.jpg' for name in NAMES]
    for index, name in enumerate(NAMES):
        np.testing.assert_array_equal(dataset.get_annotations(index), annotate(name))
        np.testing.assert_array_equal(dataset.get_gt_seg_map_by_idx(index), annotate(name)[0])


def test_takes_evenly_spaced_images(root):
    names = [info['filename'] for info in build(root, max_images=3).img_infos]
    assert names == ['10.jpg', '20.jpg', '40.jpg']
    assert len(build(root, max_images=9)) == 5
    with pytest.raises(ValueError, match='max_images must be at least 1, got 0'):
        build(root, max_images=0)


def test_evaluates_regions(root, caplog):
    dataset = build(root)
    labels = [np.tile(np.arange(SHAPE[1]) // 3, (SHAPE[0], 1)) for _ in NAMES]
    results = [dataset.pre_eval([pred], [index])[0] for index, pred in enumerate(labels)]
    logger = logging.getLogger('test_bsds')
    with caplog.at_level(logging.INFO, logger.name):
        metrics = dataset.evaluate(results, metric=['mIoU'], logger=logger, unknown_option=1)
    expected = summarize_regions(
        [region_statistics(pred, annotate(name)) for pred, name in zip(labels, NAMES, strict=True)]
    )
    assert expected.items() <= metrics.items()
    assert 0 < metrics['mIoU_fine'] < metrics['mIoU'] < metrics['mIoU_coarse'] < 1
    assert f'{100 * metrics["mIoU"]:.2f}' in caplog.text
    assert f'{metrics["VoI"]:.2f}' in caplog.text
    # The label maps that `--out` writes, and statistics that crossed processes, give the same.
    assert dataset.evaluate(labels) == metrics
    assert dataset.evaluate(pickle.loads(pickle.dumps(results))) == metrics


def test_labels_or_their_components_as_segments(root):
    checkerboard = np.indices(SHAPE).sum(axis=0) % 2
    dataset = build(root)
    ((components, labels),) = results = dataset.pre_eval(checkerboard, 0)
    assert (components.num_components, labels.num_components) == (SHAPE[0] * SHAPE[1], 2)
    metrics = dataset.evaluate(results)
    assert metrics['mIoU'] == pytest.approx(np.concatenate(components.segment_ious).mean())
    assert metrics['labels_mIoU'] == pytest.approx(np.concatenate(labels.segment_ious).mean())
    assert metrics['labels_mIoU'] != metrics['mIoU']


def test_evaluates_in_mmsegs_test_loop_from_the_base_config(root):
    config = Config.fromfile(CONFIGS / 'bsds500.py')
    dataset = build_dataset({**config.data.test, 'data_root': str(root), 'test_mode': True})
    loader = load(dataset)
    results = single_gpu_test(MMDataParallel(Perfect(), device_ids=[-1]), loader, pre_eval=True)
    metrics = dataset.evaluate(results, metric='mIoU')
    assert tuple(metrics)[: len(REGION_METRICS)] == REGION_METRICS
    assert metrics['mIoU_coarse'] == 1
    assert metrics['components'] == 2


def test_base_config_leaves_the_image_as_it_is(root):
    config = Config.fromfile(CONFIGS / 'bsds500.py')
    dataset = build_dataset({**config.data.test, 'data_root': str(root), 'test_mode': True})
    expected = np.array(Image.open(root / 'images/val/10.jpg'))[..., ::-1]
    np.testing.assert_array_equal(dataset[0]['img'][0].data.numpy().transpose(1, 2, 0), expected)


def test_trains_and_segments_without_ground_truth(root, tmp_path):
    config = Config.fromfile(CONFIGS / 'bsds500.py')
    for path in (root / 'groundTruth/val').iterdir():
        path.unlink()
    settings = {'data_root': str(root), 'img_dir': 'images/val'}
    train = build_dataset({**config.data.train, **settings})
    assert train[0]['img'].data.shape == (3, *config.crop_size)  # padded
    dataset = build_dataset({**config.data.test, **settings, 'test_mode': True})
    loader = load(dataset)
    model = MMDataParallel(Perfect(), device_ids=[-1])
    assert len(single_gpu_test(model, loader)) == len(NAMES)
    format_args = {'imgfile_prefix': str(tmp_path / 'labels')}
    paths = single_gpu_test(model, loader, format_only=True, format_args=format_args)
    for path, name in zip(paths, NAMES, strict=True):
        np.testing.assert_array_equal(np.array(Image.open(path)), annotate(name)[0])


def test_missing_ground_truth_is_counted_and_named(root, caplog):
    for name in ('20', '40'):
        (root / f'groundTruth/val/{name}.mat').unlink()
    with caplog.at_level(logging.WARNING, 'mmseg'):
        dataset = build(root)
    assert '2 of 5 images have no annotations' in caplog.text
    with pytest.raises(UserError, match=r'2 of 5 .*val/20\.mat, .*val/40\.mat$'):
        dataset.pre_eval(np.zeros(SHAPE, int), 0)
    with pytest.raises(FileNotFoundError, match=r'no ground truth file .*20\.mat'):
        dataset.get_annotations(1)


def test_missing_images_are_reported(root):
    with pytest.raises(FileNotFoundError, match=r'no image folder .*images/test'):
        build(root, img_dir='images/test')
    with pytest.raises(FileNotFoundError, match=r'groundTruth/val holds no images \(.jpg'):
        build(root, img_dir='groundTruth/val')


def test_malformed_ground_truth_is_reported(root):
    path = root / 'groundTruth/val/10.mat'
    whole = path.read_bytes()
    contents = [b'', b'no MATLAB file', whole[:200], whole[: len(whole) // 2]]
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r'10\.mat is not a BSDS500 ground-truth file'):
            read_bsds_annotations(path)
    for variables in (
        {'other': np.ones(3)},
        {'groundTruth': np.ones(3)},
        {'groundTruth': np.empty((1, 0), dtype=object)},
        {'groundTruth': np.array([[{'Boundaries': np.ones((2, 2))}]], dtype=object)},
    ):
        savemat(path, variables)
        with pytest.raises(ValueError, match=r'10\.mat is not a BSDS500 ground-truth file'):
            read_bsds_annotations(path)
    write_annotations(path, [np.full(SHAPE, 0.5)])
    with pytest.raises(ValueError, match=r'10\.mat: annotation 1 must be .* integers, got float64'):
        build(root).pre_eval(np.zeros(SHAPE, int), 0)


def test_prediction_of_another_size_is_refused(root):
    with pytest.raises(ValueError, match=r'10\.mat: .*the same shape, got \(3, 3\) and \(6, 9\)'):
        build(root).pre_eval(np.zeros((3, 3), int), 0)


def test_unknown_metric_and_empty_results_are_refused(root):
    dataset = build(root)
    with pytest.raises(ValueError, match=r"among .*'mIoU'.*, got \['mDice'\]"):
        dataset.evaluate(dataset.pre_eval(np.zeros(SHAPE, int), 0), metric='mDice')
    with pytest.raises(ValueError, match='BSDS500Dataset has no results'):
        dataset.evaluate([])


@pytest.mark.skipif(not DATA, reason='DYNASEG_TEST_DATA does not name a folder with bsds500/')
def test_real_annotations():
    dataset = build(Path(DATA, 'bsds500'))
    assert len(dataset) == 100
    assert not dataset.find_missing_annotations()
    # Predicting the first annotation finds each of its connected segments.
    annotations = dataset.get_annotations(0)
    assert len(annotations) == 5
    ((statistics, _),) = dataset.pre_eval(annotations[0].astype(np.int64), 0)
    assert statistics.coverings[0] > 0.99
    assert (statistics.coverings[1:] < 0.99).all()

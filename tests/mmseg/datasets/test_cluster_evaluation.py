import numpy as np
import pytest
from mmseg.datasets import CustomDataset, build_dataset
from PIL import Image

from dynaseg.core.metrics.clusters import class_metrics, contingency_table, match_hungarian
from dynaseg.mmseg.datasets import ClusterCustomDataset
from dynaseg.mmseg.errors import UserError
from dynaseg.mmseg.named_labels import NamedLabels

CLASSES = ('ground', 'tree', 'sky')
SHAPE = (12, 16)


@pytest.fixture
def folder(tmp_path):
    """Five images with labels of three classes, some pixels ignored."""
    rng = np.random.default_rng(0)
    for name in ('img', 'ann'):
        (tmp_path / name).mkdir()
    for index in range(5):
        Image.fromarray(rng.integers(0, 255, (*SHAPE, 3), np.uint8)).save(
            tmp_path / 'img' / f'{index}.jpg'
        )
        truth = rng.integers(0, 3, SHAPE, np.uint8)
        truth[rng.random(SHAPE) < 0.1] = 255
        Image.fromarray(truth).save(tmp_path / 'ann' / f'{index}.png')
    return tmp_path


def build(folder, kind='ClusterCustomDataset', **changes):
    config = {
        'type': kind,
        'pipeline': [],
        'data_root': str(folder),
        'img_dir': 'img',
        'ann_dir': 'ann',
        'test_mode': True,
        'classes': CLASSES,
        'palette': [[0, 0, 0], [0, 255, 0], [0, 0, 255]],
    }
    return build_dataset({**config, **changes})


def truths(folder):
    return [np.array(Image.open(folder / 'ann' / f'{index}.png')) for index in range(5)]


def guesses(folder, right=0.7):
    rng = np.random.default_rng(1)
    return [
        np.where(rng.random(SHAPE) < right, truth % 3, rng.integers(0, 3, SHAPE))
        for truth in truths(folder)
    ]


def pre_evaluated(dataset, labels):
    return [dataset.pre_eval(label, index)[0] for index, label in enumerate(labels)]


def test_equals_mmsegmentation_where_clusters_are_classes(folder):
    labels = guesses(folder)
    ours, stock = build(folder), build(folder, 'CustomDataset')
    figures = ours.evaluate(pre_evaluated(ours, labels))
    expected = stock.evaluate(pre_evaluated(stock, labels), metric='mIoU')
    assert set(expected) <= set(figures)
    for name, value in expected.items():
        assert figures[name] == pytest.approx(value, abs=5.1e-5)  # it rounds to 0.01%
    assert set(figures) - set(expected) == {'mIoU_per_image', 'aAcc_per_image'}


def test_renamed_clusters_score_the_same(folder):
    dataset = build(folder)
    labels = guesses(folder)
    renamed = [np.array([7, 0, 3])[label] for label in labels]
    figures = dataset.evaluate(pre_evaluated(dataset, labels))
    assert dataset.evaluate(pre_evaluated(dataset, renamed)) == figures
    assert figures['mIoU'] > 0.5


def test_label_maps_and_tables_score_the_same(folder):
    dataset = build(folder)
    labels = guesses(folder)
    assert dataset.evaluate(labels) == dataset.evaluate(pre_evaluated(dataset, labels))


def test_one_call_for_several_images(folder):
    dataset = build(folder)
    labels = guesses(folder)
    together = dataset.pre_eval(labels, list(range(5)))
    for one, other in zip(together, pre_evaluated(dataset, labels), strict=True):
        np.testing.assert_array_equal(one.table, other.table)


def test_the_order_of_the_images_does_not_matter(folder):
    dataset = build(folder)
    counts = pre_evaluated(dataset, guesses(folder))
    interleaved = counts[0::2] + counts[1::2]
    figures, other = dataset.evaluate(counts), dataset.evaluate(interleaved)
    assert figures == pytest.approx(other, rel=1e-12)
    exact = set(figures) - {'mIoU_per_image', 'aAcc_per_image'}
    assert all(figures[name] == other[name] for name in exact)


def test_image_by_image(folder):
    dataset = build(folder)
    # Each image is right up to the names of its clusters, which differ from image to image.
    labels = [np.roll([0, 1, 2], index)[truth % 3] for index, truth in enumerate(truths(folder))]
    figures = dataset.evaluate(pre_evaluated(dataset, labels))
    assert figures['mIoU_per_image'] == 1
    assert figures['aAcc_per_image'] == 1
    assert figures['mIoU'] < 0.6
    per_image = []
    for label, truth in zip(guesses(folder), truths(folder), strict=True):
        table = contingency_table(label, truth, 3)
        per_image.append(class_metrics(table, match_hungarian(table)).mean_iou)
    figures = dataset.evaluate(guesses(folder))
    assert figures['mIoU_per_image'] == pytest.approx(np.mean(per_image))


def test_spare_clusters_are_wrong_and_the_majority_is_reported_apart(folder):
    dataset = build(folder)
    # Every class is split into two clusters by columns, the left one holding three quarters.
    right_part = np.arange(SHAPE[1]) >= 12
    labels = [truth % 3 + 3 * right_part for truth in truths(folder)]
    figures = dataset.evaluate(pre_evaluated(dataset, labels), metric=['mIoU', 'majority'])
    labelled = np.stack(truths(folder)) != 255
    assert figures['aAcc'] == pytest.approx(labelled[..., ~right_part].sum() / labelled.sum())
    assert figures['majority_aAcc'] == figures['majority_mIoU'] == 1
    assert figures['majority_IoU.tree'] == 1
    assert figures['mIoU'] < 0.85


@pytest.mark.parametrize('clusters', [2, 3, 4])
def test_fewer_clusters_than_classes_are_told(folder, capsys, clusters):
    labels = [np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE) % clusters for _ in range(5)]
    build(folder).evaluate(labels)
    said = capsys.readouterr().out
    assert (f'{clusters} clusters occur, but 3 classes' in said) == (clusters < 3)


def test_groups_of_classes(folder):
    dataset = build(folder)
    dataset.CLASS_GROUPS = {'things': [1], 'stuff': [0, 2]}
    figures = dataset.evaluate(guesses(folder))
    assert figures['mIoU_things'] == figures['IoU.tree']
    assert figures['mIoU_stuff'] == pytest.approx((figures['IoU.ground'] + figures['IoU.sky']) / 2)
    assert figures['mAcc_things'] == figures['Acc.tree']


@pytest.mark.parametrize('metric', ['mDice', ['mIoU', 'mFscore']])
def test_unknown_metrics_are_refused(folder, metric):
    with pytest.raises(ValueError, match=r"metric must be among \('mIoU', 'majority'\), got"):
        build(folder).evaluate(guesses(folder), metric=metric)


def test_no_results_are_refused(folder):
    with pytest.raises(ValueError, match='ClusterCustomDataset has no results'):
        build(folder).evaluate([])


def test_a_mask_that_is_none_is_named_once(folder):
    (mask,) = folder.rglob('2.png')
    mask.write_bytes(b'no mask')
    with pytest.raises(ValueError, match=r'2\.png: ') as caught:
        build(folder).pre_eval(np.zeros(SHAPE, int), 2)
    assert str(caught.value).count('2.png') == 1


def test_a_prediction_of_another_size_is_refused_by_file(folder):
    with pytest.raises(ValueError, match=r'2\.png: the mask is 16 x 12 pixels, its image 3 x 3'):
        build(folder).pre_eval(np.zeros((3, 3), int), 2)


def test_labels_that_are_no_class_are_refused_by_file(folder):
    Image.fromarray(np.full(SHAPE, 77, np.uint8)).save(folder / 'ann' / '1.png')
    with pytest.raises(ValueError, match=r'1\.png: classes must lie in .* got \[77\]'):
        build(folder).pre_eval(np.zeros(SHAPE, int), 1)


def test_ade20k_leaves_label_zero_out(folder):
    # ADE20K's labels count from 1; 0 is unlabelled.
    labels = guesses(folder)
    shifted = [np.where(truth == 255, 0, truth + 1) for truth in truths(folder)]
    for index, truth in enumerate(shifted):
        Image.fromarray(truth.astype(np.uint8)).save(folder / 'ann' / f'{index}.png')
    changes = {'classes': None, 'palette': None}
    ours = build(folder, 'ClusterADE20KDataset', **changes)
    stock = build(folder, 'ADE20KDataset', **changes)
    figures = ours.evaluate(pre_evaluated(ours, labels))
    expected = stock.evaluate(pre_evaluated(stock, labels))
    assert figures['aAcc'] == pytest.approx(expected['aAcc'], abs=5.1e-5)
    assert figures['IoU.wall'] == pytest.approx(expected['IoU.wall'], abs=5.1e-5)
    assert figures['mIoU'] == pytest.approx(expected['mIoU'], abs=5.1e-5)


def test_some_of_the_classes_of_ade20k_may_be_chosen(folder):
    # Unlabelled, wall, building, sky, flag.
    raw = np.array([[0, 1, 2, 3, 150, 255]] * 2, np.uint8)
    Image.fromarray(raw).save(folder / 'ann' / '0.png')
    for ignored in (255, 200):
        settings = {'classes': ['wall', 'sky'], 'palette': None, 'ignore_index': ignored}
        dataset = build(folder, 'ClusterADE20KDataset', **settings)
        expected = [ignored, 0, ignored, 1, ignored, ignored]
        assert dataset.read_classes(0).tolist() == [expected] * 2


@pytest.mark.parametrize('kind', [np.uint16, np.int32])
def test_masks_beyond_8_bits_are_refused(folder, kind):
    (mask,) = folder.rglob('2.png')
    Image.fromarray(np.full(SHAPE, 256, kind)).save(mask)  # which is class 0 modulo 256
    with pytest.raises(ValueError, match=r'2\.png is not a mask of one 8-bit channel'):
        build(folder).pre_eval(np.zeros(SHAPE, int), 2)
    Image.fromarray(np.full(SHAPE, 2, kind)).save(mask)
    assert (build(folder).read_classes(2) == 2).all()


def test_huge_masks_are_named(folder, monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 50)
    with pytest.raises(UserError, match=r'2\.png cannot be read as a mask: .*exceeds limit'):
        build(folder).read_classes(2)


def test_the_data_set_stays_mmsegmentations():
    assert issubclass(ClusterCustomDataset, CustomDataset)


def test_named_labels_have_figures_of_their_own_alone(folder):
    names = ('ground', 'sky', 'unnamed')
    labels = [NamedLabels(label, names) for label in guesses(folder)]
    dataset = build(folder)
    figures = dataset.evaluate(pre_evaluated(dataset, labels), ['mIoU', 'majority'])
    assert {name for name in figures if not name.startswith('named_')} == set()
    assigned = np.array([0, 2, -1])
    predicted = np.concatenate([assigned[label].ravel() for label in labels])
    truth = np.concatenate([one.ravel() for one in truths(folder)])
    predicted, truth = predicted[truth != 255], truth[truth != 255]
    assert figures['named_aAcc'] == pytest.approx((predicted == truth).mean())
    ious = [
        ((predicted == one) & (truth == one)).sum() / ((predicted == one) | (truth == one)).sum()
        for one in range(3)
    ]
    assert ious[1] == figures['named_IoU.tree'] == 0
    assert figures['named_mIoU'] == pytest.approx(np.mean(ious))


def test_names_of_no_class_are_refused_at_the_first_image(folder):
    dataset = build(folder)
    labels = NamedLabels(np.zeros(SHAPE, int), ('bridge', 'sky'))
    message = r"names 'bridge', which are not classes of ClusterCustomDataset \(ground, "
    with pytest.raises(UserError, match=message):
        dataset.pre_eval(labels, 0)


def test_images_without_a_labelled_pixel_are_no_figures(folder):
    for path in (folder / 'ann').iterdir():
        Image.new('L', SHAPE[::-1], 255).save(path)
    dataset = build(folder)
    counts = pre_evaluated(dataset, [np.zeros(SHAPE, dtype=int)] * 5)
    with pytest.raises(UserError, match=r'ann: none of 5 images has a labelled pixel .all are 255'):
        dataset.evaluate(counts)


def test_damaged_and_missing_masks_are_named(folder):
    dataset = build(folder)
    mask = folder / 'ann/2.png'
    mask.write_bytes(mask.read_bytes()[:60])
    with pytest.raises(UserError, match=r'ann/2\.png: '):
        dataset.pre_eval(np.zeros(SHAPE, int), 2)
    mask.unlink()
    with pytest.raises(UserError, match=r'ann/2\.png'):
        dataset.pre_eval(np.zeros(SHAPE, int), 2)


def test_classes_that_are_left_out_do_not_count(folder):
    kind = type('Ground', (ClusterCustomDataset,), {'CLASSES': CLASSES, 'PALETTE': [[0] * 3] * 3})
    dataset = kind([], 'img', ann_dir='ann', data_root=str(folder), classes=('sky', 'tree'))
    truth = np.array(Image.open(folder / 'ann/0.png'))
    expected = np.select([truth == 2, truth == 1], [0, 1], 255)
    np.testing.assert_array_equal(dataset.read_classes(0), expected)


def test_names_are_compared_without_spaces_around_classes(folder):
    dataset = build(folder, classes=('ground', 'bed ', 'sky'))
    counts = dataset.pre_eval(NamedLabels(np.zeros(SHAPE, int), ('bed',)), 0)
    assert 'named_mIoU' in dataset.evaluate(counts, logger='silent')

"""Clusters of a checkpoint have the same label in every image, whatever it is segmented with."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.runner import save_checkpoint
from mmseg.datasets import build_dataset
from PIL import Image

from dynaseg import segment_images
from dynaseg.analysis.probe import load_inputs
from dynaseg.io.names import ClusterNames, write_names
from dynaseg.io.palette import distinct_palette
from dynaseg.io.writing import read_label_map
from dynaseg.mmseg.build import build_segmentor_from
from dynaseg.mmseg.configs import load_config
from dynaseg.mmseg.models.predictors import TrainedPredictor
from dynaseg.mmseg.named_labels import NamedLabels

SIZES = [(40, 56), (56, 40), (40, 56), (31, 77), (64, 64), (90, 120), (8, 9), (50, 50), (120, 33)]
SIZES.append((200, 150))  # more pixels than predict_pixels
CLUSTERS = 12
CONFIG = """
from dynaseg.mmseg.configs import find_config

_base_ = str(find_config('fsf_efficientnet-lite0_200_folder.py'))
model = dict(
    backbone=dict(pretrained=False, frozen=False),
    decode_head=dict(num_classes=12),
    test_cfg=dict(predict_pixels=20000, refine=dict(radius=4)),
)
data = dict(test=dict(img_dir='{photos}'), workers_per_gpu=1)
"""


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Ten photographs, a config and a checkpoint whose clusters are all in use."""
    folder = tmp_path_factory.mktemp('labels')
    (folder / 'photos').mkdir()
    rng = np.random.default_rng(0)
    for number, (height, width) in enumerate(SIZES):
        blocks = rng.integers(0, 256, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8)
        pixels = blocks.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
        Image.fromarray(pixels).save(folder / 'photos' / f'{number}.png')
    (folder / 'config.py').write_text(CONFIG.format(photos=folder / 'photos'))
    model = build_segmentor_from(folder / 'config.py', device='cpu', seed=1)
    with torch.no_grad():  # as training does: responses have mean 0 and deviation 1
        model.train()
        for _ in range(30):
            model.response(model.normalise(255 * torch.rand(4, 3, 64, 64)))
    save_checkpoint(model, str(folder / 'a.pth'))
    return folder


@pytest.fixture(scope='module')
def together(folder):
    """The label maps of all photographs, segmented at once."""
    out = folder / 'together'
    records = segment_images(
        folder / 'photos', out, folder / 'config.py', folder / 'a.pth', 'cpu', workers=1
    )
    assert not any('error' in record for record in records)
    return [read_label_map(out / 'labels' / f'{number}.png') for number in range(len(SIZES))]


def test_maps_hold_the_networks_clusters(folder, together):
    model = build_segmentor_from(folder / 'config.py', folder / 'a.pth', 'cpu')
    pixels = np.asarray(Image.open(folder / 'photos/0.png'))
    img = torch.from_numpy(pixels[..., ::-1].copy()).permute(2, 0, 1)[None]
    with torch.no_grad():
        expected = model.inference(
            img.float(),
            [{'flip': False, 'ori_shape': (40, 56, 3), 'img_shape': (40, 56, 3)}],
            rescale=True,
        ).argmax(dim=1)[0]
    assert np.array_equal(together[0], expected)
    present = [np.unique(labels) for labels in together]
    assert any(labels[0] > 0 or len(labels) <= labels[-1] for labels in present)  # with gaps
    assert len(np.unique(np.concatenate(present))) > 3


def test_photographs_alone_and_in_another_order_have_the_same_labels(folder, together):
    for number in (9, 3, 0):
        out = folder / f'alone-{number}'
        segment_images(
            folder / 'photos' / f'{number}.png',
            out,
            folder / 'config.py',
            folder / 'a.pth',
            'cpu',
            workers=1,
        )
        assert np.array_equal(read_label_map(out / f'labels/{number}.png'), together[number])


def test_mmsegmentations_test_gives_the_same_labels(root, folder, together):
    out = folder / 'tested'
    command = [sys.executable, root / 'tools/test.py', folder / 'config.py', folder / 'a.pth']
    command += ['--format-only', '--eval-options', f'imgfile_prefix={out}', '--work-dir', out]
    command += ['--cfg-options', 'data.test_dataloader.samples_per_gpu=4']
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    for number, labels in enumerate(together):
        assert np.array_equal(read_label_map(out / f'{number}.png.png'), labels), number


def test_a_loader_of_single_images_gives_the_same_labels(folder, together):
    config = load_config(folder / 'config.py')
    dataset = build_dataset({**config.data.test, 'test_mode': True})
    model = build_segmentor_from(config, folder / 'a.pth', 'cpu')
    order = np.random.default_rng(1).permutation(len(dataset))
    dataset.img_infos = [dataset.img_infos[number] for number in order]
    with torch.no_grad():
        for info, data in zip(dataset.img_infos, load_inputs(model, dataset), strict=True):
            (labels,) = model(return_loss=False, **data)
            assert np.array_equal(labels, together[int(Path(info['filename']).stem)])


def test_labels_have_one_colour_everywhere(folder, together):
    palette = distinct_palette(CLUSTERS)
    for number, labels in enumerate(together):
        with Image.open(folder / f'together/labels/{number}.png') as image:
            colours = np.array(image.convert('RGB'))
        assert np.array_equal(colours, palette[labels])
    page = (folder / 'together/index.html').read_text()
    for label in np.unique(np.concatenate([labels.ravel() for labels in together])):
        colour = ', '.join(map(str, palette[label]))
        assert f'background: rgb({colour})"></span><b>cluster {label}</b>' in page


def test_names_are_labels(folder, together):
    clusters = {cluster: 'odd' if cluster % 2 else 'even' for cluster in range(1, CLUSTERS)}
    write_names(folder / 'names.json', ClusterNames(clusters, 'a test'))
    records = segment_images(
        folder / 'photos',
        folder / 'named',
        folder / 'config.py',
        folder / 'a.pth',
        'cpu',
        workers=1,
        names=folder / 'names.json',
    )
    model = build_segmentor_from(folder / 'config.py', folder / 'a.pth', 'cpu')
    names = ClusterNames(clusters, 'a test')
    model.vote_by_names(names)
    table = names.number_labels(CLUSTERS)[0]
    for number in range(len(SIZES)):
        named = read_label_map(folder / f'named/labels/{number}.png')
        pixels = np.array(Image.open(folder / f'photos/{number}.png'))
        votes = TrainedPredictor(model, model.segmentation)([pixels])[0].labels
        assert np.array_equal(named, table[votes])
        shares = {
            name: round(float((named == label).mean()), 6)
            for label, name in enumerate(['even', 'odd', 'unnamed'])
            if (named == label).any()
        }
        assert records[number]['shares'] == shares
    config = load_config(folder / 'config.py')
    config.model.test_cfg.names = str(folder / 'names.json')
    dataset = build_dataset({**config.data.test, 'test_mode': True})
    model = build_segmentor_from(config, folder / 'a.pth', 'cpu')
    with torch.no_grad():
        tested = [model(return_loss=False, **data)[0] for data in load_inputs(model, dataset)]
    assert all(labels.names == ('even', 'odd', 'unnamed') for labels in tested)
    for number, path in enumerate(dataset.format_results(tested, str(folder / 'formatted'))):
        named = read_label_map(folder / f'named/labels/{number}.png')
        assert np.array_equal(read_label_map(path), named)
    page = (folder / 'named/index.html').read_text()
    assert '<b>odd</b>' in page
    assert 'cluster 1' not in page


def test_names_in_a_config_are_settings_of_the_run(folder, tmp_path):
    def segment():
        option = f'model.test_cfg.names={tmp_path / "names.json"}'
        return segment_images(
            folder / 'photos/0.png',
            tmp_path / 'out',
            folder / 'config.py',
            folder / 'a.pth',
            'cpu',
            cfg_options=[option],
        )

    write_names(tmp_path / 'names.json', ClusterNames(dict.fromkeys(range(CLUSTERS), 'sky'), ''))
    assert segment()[0]['shares'] == {'sky': 1.0}
    write_names(tmp_path / 'names.json', ClusterNames(dict.fromkeys(range(CLUSTERS), 'sea'), ''))
    with pytest.raises(ValueError, match='the content of the names has changed'):
        segment()
    write_names(tmp_path / 'names.json', ClusterNames({0: 'sky'}, '', 'f00'))
    with pytest.raises(ValueError, match=r'of another checkpoint than .*a\.pth'):
        segment()


def test_augmented_tests_have_names_too(folder):
    model = build_segmentor_from(folder / 'config.py', folder / 'a.pth', 'cpu')
    img = torch.randint(256, (1, 3, 40, 56), generator=torch.Generator().manual_seed(0)).float()
    size = dict.fromkeys(('ori_shape', 'img_shape', 'pad_shape'), (40, 56, 3))
    metas = [
        [{'flip': False, **size}],
        [{'flip': True, 'flip_direction': 'horizontal', **size}],
    ]
    with torch.no_grad():
        (clusters,) = model.forward_test([img, img.flip(3)], metas)
        model.names = ClusterNames(dict.fromkeys(range(0, CLUSTERS, 2), 'even'), 'a test')
        (labels,) = model.forward_test([img, img.flip(3)], metas)
    assert labels.names == ('even', 'unnamed')
    assert np.array_equal(labels, clusters % 2)


@pytest.mark.parametrize(
    ('names', 'config', 'message'),
    [
        (ClusterNames({12: 'a'}, ''), 'config.py', 'names are of clusters 12, and there are 12'),
        (ClusterNames({0: 'a'}, '', 'f00'), 'config.py', 'of another checkpoint than .*a.pth'),
        (ClusterNames({0: 'a'}, ''), 'segment.py', 'test_cfg.fit makes new clusters for each'),
    ],
)
def test_names_of_others_are_refused(folder, tmp_path, names, config, message):
    write_names(tmp_path / 'names.json', names)
    is_fitted = config == 'segment.py'
    with pytest.raises(ValueError, match=rf'names.json: .*{message}'):
        segment_images(
            folder / 'photos',
            tmp_path / 'out',
            config if is_fitted else folder / config,
            None if is_fitted else folder / 'a.pth',
            'cpu',
            names=tmp_path / 'names.json',
        )
    assert not (tmp_path / 'out').exists()


def test_clusters_of_a_name_vote_together_over_all_augmentations(folder):
    model = build_segmentor_from(folder / 'config.py', folder / 'a.pth', 'cpu')
    img = torch.randint(256, (1, 3, 40, 56), generator=torch.Generator().manual_seed(0)).float()
    size = dict.fromkeys(('ori_shape', 'img_shape', 'pad_shape'), (40, 56, 3))
    views = [img, img.flip(3)]
    metas = [
        [{'flip': False, **size}],
        [{'flip': True, 'flip_direction': 'horizontal', **size}],
    ]
    with torch.no_grad(), model.unrefined():
        each = [model.inference(one, meta, True) for one, meta in zip(views, metas, strict=True)]
        names = ClusterNames(dict.fromkeys(range(4), 'a') | {4: 'b'}, 'a test')
        model.names = names
        model.vote_by_names(names)
        (labels,) = model.forward_test(views, metas)
    mean = ((each[0] + each[1]) / 2)[0].numpy()
    votes = np.stack([mean[:4].sum(axis=0), *mean[4:]])  # of a, b, and each without a name
    assert labels.names == ('a', 'b', 'unnamed')
    assert np.array_equal(labels, votes.argmax(axis=0).clip(max=2))


def test_augmented_tests_stay_within_the_limit_of_pixels(folder):
    config = load_config(folder / 'config.py')
    config.model.test_cfg.predict_pixels = 20 * 28
    model = build_segmentor_from(config, folder / 'a.pth', 'cpu')
    img = torch.randint(256, (1, 3, 40, 56), generator=torch.Generator().manual_seed(0)).float()
    meta = {'flip': False, **dict.fromkeys(('ori_shape', 'img_shape', 'pad_shape'), (40, 56, 3))}
    sizes, inference = [], model.inference_of_views

    def note(views, metas, rescale):
        probabilities = inference(views, metas, rescale)
        sizes.extend(tuple(one.shape[2:]) for one in (*views, probabilities))
        return probabilities

    model.inference_of_views = note
    with torch.no_grad():
        (one,) = model.forward_test([img], [[meta]])
        (two,) = model.forward_test([img, img], [[meta], [meta]])
        together = model.forward_test([img.repeat(2, 1, 1, 1)] * 2, [[meta] * 2] * 2)
    assert set(sizes) == {(20, 28)}
    assert all(np.array_equal(one, other) for other in (two, *together))


def test_pictures_of_names_have_a_colour_per_name(folder):
    model = build_segmentor_from(folder / 'config.py', folder / 'a.pth', 'cpu')
    model.CLASSES = ('sky', 'road')  # as scripts set them
    image = np.zeros((40, 56, 3), np.uint8)
    labels = NamedLabels(np.arange(40 * 56).reshape(40, 56) % 2, ('a', 'unnamed'))
    drawn = model.show_result(image, [labels], opacity=1.0)
    palette = distinct_palette(2)[:, ::-1]  # BGR
    np.testing.assert_array_equal(drawn, palette[labels])


def test_regions_have_no_borders_within_a_name(folder):
    model = build_segmentor_from(folder / 'config.py', folder / 'a.pth', 'cpu')
    names = ClusterNames({0: 'a', 1: 'a', 2: 'b'}, 'a test')
    predictor = TrainedPredictor(model, model.segmentation, names)
    probabilities = torch.zeros(1, CLUSTERS, 4, 8)
    probabilities[0, 0, :, :4] = probabilities[0, 1, :, 4:] = 1.1  # as after a vote
    probabilities[0, 2] = -0.1
    soft = predictor._soften(probabilities)
    np.testing.assert_allclose(soft.sum(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(soft.max(axis=0), 1, atol=1e-6)
    assert (soft == soft[:, :1, :1]).all()


def test_predictors_of_one_segmentor_keep_their_own_names(folder):
    model = build_segmentor_from(folder / 'config.py', folder / 'a.pth', 'cpu')
    pixels = np.array(Image.open(folder / 'photos/5.png'))
    half = {cluster: f'{cluster // 6}' for cluster in range(CLUSTERS)}
    odd = {cluster: f'{cluster % 2}' for cluster in range(CLUSTERS)}
    plain, halves = model.make_predictor(), model.make_predictor(ClusterNames(half, 'a test'))
    before = [predictor([pixels])[0].labels for predictor in (plain, halves)]
    model.make_predictor(ClusterNames(odd, 'a test'))([pixels])
    for predictor, labels in zip((plain, halves), before, strict=True):
        assert np.array_equal(predictor([pixels])[0].labels, labels)


def test_images_may_be_views_of_reversed_channels(folder):
    model = build_segmentor_from(folder / 'config.py', folder / 'a.pth', 'cpu')
    pixels = np.array(Image.open(folder / 'photos/5.png'))
    one, other = model.make_predictor()([pixels[..., ::-1], pixels[..., ::-1].copy()])
    assert np.array_equal(one.labels, other.labels)

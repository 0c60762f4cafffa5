import csv
import json
import shutil
import subprocess
import sys
from copy import deepcopy

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from dynaseg.analysis import analyze_clusters
from dynaseg.analysis.naming import build_evaluated, count_clusters
from dynaseg.analysis.probe import evaluate_probe, load_inputs, train_probe
from dynaseg.io.names import ClusterNames, read_names, write_names
from dynaseg.mmseg.build import build_segmentor_from
from dynaseg.mmseg.configs import load_config
from dynaseg.mmseg.datasets import ClusterCustomDataset

CONFIG = 'dynaseg/fsf_plain-cnn_100_sample.py'
PIPELINE = [
    {'type': 'LoadImage'},
    {
        'type': 'MultiScaleFlipAug',
        'img_scale': None,
        'img_ratios': [1.0],
        'flip': False,
        'transforms': [
            {'type': 'ImageToTensor', 'keys': ['img']},
            {'type': 'Collect', 'keys': ['img']},
        ],
    },
]
FOLDER = {'_delete_': True, 'type': 'ImageFolderDataset', 'img_dir': '', 'pipeline': PIPELINE}
COLOURS = np.array([[250, 20, 20], [20, 250, 20], [20, 20, 250]], np.uint8)


def small_config(sample_data, **changes):
    config = load_config(CONFIG)
    config.merge_from_dict(
        {
            **{f'data.{name}.data_root': str(sample_data) for name in ('train', 'val', 'test')},
            'model.backbone.channels': 8,
            'model.decode_head.in_channels': 8,
            'model.decode_head.num_classes': 31,
            **changes,
        }
    )
    return config


@pytest.fixture
def coloured(tmp_path):
    """Makes a data set whose classes are colours with noise."""

    def make(num_classes, count=4):
        rng = np.random.default_rng(0)
        for folder in ('images', 'masks'):
            (tmp_path / folder).mkdir(exist_ok=True)
        for index in range(count):
            truth = rng.integers(0, num_classes, (4, 5)).repeat(4, 0).repeat(4, 1)
            noise = rng.integers(-15, 16, (*truth.shape, 3))
            image = (COLOURS[truth] + noise).clip(0, 255).astype(np.uint8)
            truth[0] = 255
            Image.fromarray(image).save(tmp_path / 'images' / f'{index}.png')
            Image.fromarray(truth.astype(np.uint8)).save(tmp_path / 'masks' / f'{index}.png')
        return ClusterCustomDataset(
            pipeline=PIPELINE,
            img_dir=str(tmp_path / 'images'),
            ann_dir=str(tmp_path / 'masks'),
            img_suffix='.png',
            classes=['a', 'b', 'c'][:num_classes],
            palette=COLOURS[:num_classes].tolist(),
            test_mode=True,
        )

    return make


class Colours(nn.Module):
    """A segmentor whose features are the image itself."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def features(self, img):
        return self.scale * img


def test_outputs_agree_with_each_other_and_with_the_evaluation(sample_data, tmp_path):
    config = small_config(sample_data)
    out = tmp_path / 'out'
    analysis = analyze_clusters(config, out_dir=out, device='cpu', num_pictures=2)
    assert json.loads((out / 'clusters.json').read_text()) == analysis

    with open(out / 'confusion.csv', newline='') as file:
        head, *rows = csv.reader(file)
    table = np.array([row[2:] for row in rows], int)
    assert table.shape == (31, 27)
    assert len(head) == 29
    assert [record['pixels'] for record in analysis['clusters']] == table.sum(axis=1).tolist()
    assert sum(record['share'] for record in analysis['clusters']) == pytest.approx(1)
    assert analysis['empty_clusters'] == (table.sum(axis=1) == 0).sum() > 0
    assert [row[1] or None for row in rows] == [one['matched'] for one in analysis['clusters']]
    largest = analysis['clusters'][int(table.sum(axis=1).argmax())]
    assert sum(largest['classes'].values()) == pytest.approx(1)
    assert largest['images'] >= 1

    from mmseg.datasets import build_dataset

    dataset = build_dataset({**config.data.test, 'test_mode': True})
    segmentor = build_segmentor_from(config, device='cpu')
    with torch.no_grad():
        labels = [
            segmentor(return_loss=False, **data)[0] for data in load_inputs(segmentor, dataset)
        ]
    expected = dataset.evaluate(labels, ['mIoU', 'majority'], logger='silent')
    for protocol, prefix in (('hungarian', ''), ('majority', 'majority_')):
        for name in ('mIoU', 'aAcc', 'mAcc'):
            figure = analysis['figures'][protocol][name]
            assert figure == pytest.approx(expected[prefix + name])
    valid = sum((dataset.read_classes(index) != 255).sum() for index in range(len(dataset)))
    assert table.sum() == valid

    page = (out / 'index.html').read_text()
    pictures = sorted(path.relative_to(out).as_posix() for path in out.glob('pictures/*'))
    assert len(pictures) == 2
    for file in [*pictures, 'confusion.png', 'confusion.csv', 'clusters.json']:
        assert f'"{file}"' in page
    with Image.open(out / 'confusion.png') as image:
        image.load()


def test_images_without_labels_have_a_page_for_naming(sample_data, tmp_path):
    config = small_config(sample_data)
    for name in ('train', 'test'):
        config.merge_from_dict({f'data.{name}': {**FOLDER}})
    config.data.train.img_dir = str(sample_data / 'coco' / 'train2017')
    config.data.test.img_dir = 'absent'  # and not needed
    out = tmp_path / 'out'
    analysis = analyze_clusters(config, out_dir=out, device='cpu', naming_images=3)
    assert json.loads((out / 'clusters.json').read_text())['naming'] == json.loads(
        json.dumps(analysis['naming'])
    )
    assert {path.name for path in out.iterdir()} == {
        'assets',
        'clusters.json',
        'examples',
        'naming.html',
    }
    assert len(analysis['naming']['images']) == 3
    shares = [record['share'] for record in analysis['naming']['clusters']]
    assert sum(shares) == pytest.approx(1)
    assert 'figures' not in analysis


def test_repeated_and_joined_images_are_surveyed_once(sample_data, tmp_path):
    config = small_config(sample_data)
    parts = [
        {
            'type': 'ImageFolderDataset',
            'img_dir': f'{sample_data}/coco/{name}',
            'pipeline': PIPELINE,
        }
        for name in ('train2017', 'val2017')
    ]
    config.data.train = {'type': 'RepeatDataset', 'times': 5, 'dataset': parts}
    analysis = analyze_clusters(config, out_dir=tmp_path, device='cpu', num_pictures=0)
    assert len(analysis['naming']['images']) == 7
    with pytest.raises(ValueError, match=r'data\.train must be one data set to be compared with'):
        analyze_clusters(config, out_dir=tmp_path / 'out', device='cpu', probe_pixels=9)


def test_labels_are_left_alone_where_that_is_asked_for(sample_data, tmp_path):
    shutil.rmtree(sample_data / 'coco/annotations')
    out = tmp_path / 'out'
    analysis = analyze_clusters(
        small_config(sample_data), out_dir=out, device='cpu', naming_images=2, without_labels=True
    )
    assert set(analysis) == {'config', 'checkpoint', 'naming'}
    assert not (out / 'index.html').exists()
    assert 'electronic-thing' in (out / 'naming.html').read_text()  # names are offered


def test_names_from_labels_are_figures_of_their_own(sample_data, tmp_path):
    config = small_config(sample_data)
    options = {'device': 'cpu', 'num_pictures': 0, 'naming_images': 0}
    analysis = analyze_clusters(config, out_dir=tmp_path, names_from_labels=2, **options)
    names = read_names(tmp_path / 'names.json')
    assert names.made_from == 'labels of 2 of 4 training images'
    train = build_evaluated(config, 'train')
    segmentor = build_segmentor_from(config, device='cpu')
    table = count_clusters(segmentor, train, [0, 2])
    assert dict(names.names) == {
        cluster: train.CLASSES[row.argmax()] for cluster, row in enumerate(table) if row.any()
    }
    assert set(analysis['figures']) == {'hungarian', 'majority'}


@pytest.mark.parametrize('content', ['a person', 'labels of 2 of 4 training images; then ', ''])
def test_names_that_a_person_gave_are_not_replaced_by_those_of_labels(
    sample_data, tmp_path, monkeypatch, content
):
    path = tmp_path / 'names.json'
    if content:
        write_names(path, ClusterNames({0: 'road'}, content))
    else:
        path.write_text('{"names": ')  # damaged
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr('dynaseg.analysis.analyze.build_segmentor_from', None)  # the long work
        with pytest.raises(ValueError, match=r'names\.json was not made from labels, and'):
            analyze_clusters(small_config(sample_data), out_dir=tmp_path, names_from_labels=2)
    assert path.read_bytes() == before
    options = {'device': 'cpu', 'num_pictures': 0, 'naming_images': 0}
    analyze_clusters(small_config(sample_data), out_dir=tmp_path, **options)  # by no labels
    assert path.read_bytes() == before
    path.unlink()
    for every in (2, 1):
        analyze_clusters(
            small_config(sample_data), out_dir=tmp_path, names_from_labels=every, **options
        )
    assert read_names(path).made_from == 'labels of 4 of 4 training images'


def test_training_images_are_cropped_as_those_of_tests(sample_data):
    config = small_config(sample_data)
    config.data.test.evaluation_crop = 32
    train = build_evaluated(config, 'train')
    assert train.read_classes(0).shape == (32, 32)
    assert train[0]['img'][0].data.shape[-2:] == (32, 32)


@pytest.mark.parametrize('num_classes', [2, 3])
def test_probe_finds_what_is_linearly_separable(coloured, num_classes):
    dataset = coloured(num_classes)
    segmentor = Colours()
    probe = train_probe(segmentor, dataset, 200)
    assert probe.weight.shape == (num_classes, 3)
    assert evaluate_probe(segmentor, dataset, probe).mean_iou > 0.98


def test_probe_takes_unlabelled_classes_and_no_single_one(coloured):
    dataset = coloured(1)
    dataset.CLASSES = ('a', 'b')
    with pytest.raises(ValueError, match='fewer than 2 classes'):
        train_probe(Colours(), dataset, 50)


def test_probe_stands_beside_the_other_figures(sample_data, tmp_path):
    analysis = analyze_clusters(
        small_config(sample_data), out_dir=tmp_path, device='cpu', num_pictures=0, probe_pixels=300
    )
    assert set(analysis['figures']) == {'hungarian', 'majority', 'linear_probe'}
    probe = analysis['figures']['linear_probe']
    assert probe['aAcc'] > analysis['figures']['hungarian']['aAcc']
    assert not list(tmp_path.glob('pictures/*'))


@pytest.mark.parametrize(
    ('changes', 'arguments', 'message'),
    [
        ({}, {'num_pictures': -1}, 'num_pictures must be at least 0, got -1'),
        ({}, {'probe_pixels': -5}, 'probe_pixels must be at least 0, got -5'),
        ({}, {'naming_images': -1}, 'naming_images must be at least 0, got -1'),
        ({}, {'names_from_labels': -1}, 'names_from_labels must be at least 0, got -1'),
        ({}, {'names': 'a', 'names_from_labels': 1}, 'names and names_from_labels exclude'),
        ({}, {'without_labels': True, 'probe_pixels': 1}, 'probe_pixels and .* need labels'),
        ({'model.test_cfg': {'fit': {}}}, {}, 'test_cfg.fit makes clusters for each image'),
        (
            {'data.test.type': 'CocoStuff72Dataset'},
            {},
            "data.test.type='CocoStuff72Dataset' is not",
        ),
        (
            {'data.train': FOLDER},
            {'names_from_labels': 1},
            'data.train: ImageFolderDataset has no masks and classes to compare clusters with',
        ),
        (
            {'data.train': FOLDER},
            {'probe_pixels': 9},
            'data.train: ImageFolderDataset has no masks and classes to compare clusters with',
        ),
    ],
)
def test_unfit_settings_are_refused(sample_data, tmp_path, changes, arguments, message):
    config = small_config(sample_data)
    config.merge_from_dict(deepcopy(changes))
    if 'data.train' in changes:
        config.data.train.img_dir = str(sample_data / 'coco' / 'val2017')
    with pytest.raises(ValueError, match=message):
        analyze_clusters(config, out_dir=tmp_path / 'out', device='cpu', **arguments)
    assert not (tmp_path / 'out').exists()


def test_command(root, sample_data, tmp_path):
    roots = [f'data.{name}.data_root={sample_data}' for name in ('train', 'test')]
    command = [sys.executable, root / 'tools' / 'analyze_clusters.py', CONFIG, '--device', 'cpu']
    changes = ['model.backbone.channels=8', 'model.decode_head.in_channels=8']
    done = subprocess.run(
        [*command, '--out-dir', tmp_path / 'out', '--cfg-options', *roots, *changes],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert 'hungarian: mIoU' in done.stdout
    assert (tmp_path / 'out' / 'index.html').is_file()
    done = subprocess.run([*command[:2], 'nowhere.py'], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: no config 'nowhere.py'")


def test_masks_without_colours_are_drawn(coloured, tmp_path, sample_data):
    coloured(2)  # writes images and masks
    config = small_config(sample_data)
    config.data.test = {
        'type': 'LabelledFolderDataset',
        'img_dir': str(tmp_path / 'images'),
        'ann_dir': str(tmp_path / 'masks'),
        'classes': ['a', 'b'],
        'pipeline': config.data.test.pipeline,
    }
    out = tmp_path / 'out'
    analyze_clusters(config, out_dir=out, device='cpu', num_pictures=1, naming_images=0)
    assert list(out.glob('pictures/*.png'))


def test_names_are_of_this_checkpoint_and_keep_their_source(sample_data, tmp_path):
    config = small_config(sample_data)
    names = tmp_path / 'names.json'
    options = {'device': 'cpu', 'num_pictures': 0, 'naming_images': 2, 'names': names}
    write_names(names, ClusterNames({0: 'sky'}, 'labels of 2 images'))
    analyze_clusters(config, out_dir=tmp_path / 'out', **options)
    page = (tmp_path / 'out/naming.html').read_text()
    assert '"madeFrom": "labels of 2 images; then a person, by the pictures of 2 ' in page
    write_names(names, ClusterNames({0: 'sky'}, 'a person', 'f00'))
    with pytest.raises(ValueError, match=r'names\.json: .*of another checkpoint'):
        analyze_clusters(config, out_dir=tmp_path / 'out', **options)
    write_names(names, ClusterNames({99: 'sky'}, 'a person'))
    with pytest.raises(ValueError, match=r'names\.json: names are of clusters 99'):
        analyze_clusters(config, out_dir=tmp_path / 'out', **options)

import sys
from importlib import import_module

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope='module')
def camvid_splits(root):
    """The command, imported."""
    folder = str(root / 'benchmarks')
    sys.path.insert(0, folder)
    yield import_module('camvid_splits')
    sys.path.remove(folder)


def test_the_mean_leaves_the_last_67_out(camvid_splits):
    figures = {'last67': (0.4, 0.9), 'dev67': (0.3, 0.8), '0001TP': (0.1, 0.2)}
    runs = [
        {'split': split, 'mIoU': miou + shift, 'aAcc': aacc - shift}
        for split, (miou, aacc) in figures.items()
        for shift in (0, 0.02)
    ]
    assert camvid_splits.summarize(runs) == {
        'last67': '41.0 / 89.0',
        'dev67': '31.0 / 79.0',
        '0001TP': '11.0 / 19.0',
        'mean': '21.0 / 49.0',
    }
    assert 'mean' not in camvid_splits.summarize(runs[:2])


def test_every_subset_is_of_the_split(camvid_splits):
    config = 'kmeans44_efficientnet-lite0-mnf_camvid.py'
    options = camvid_splits.parse_args([config, '--subset', 'test', '--data-root', 'mine'])
    assert options.splits == ('dev67', '0001TP', '0006R0', '0016E5')
    data = camvid_splits.configure(options, 'standard').data
    assert [data[name].subset for name in ('train', 'val', 'test')] == ['train', 'test', 'test']
    assert all(data[name].split == 'standard' for name in ('train', 'val', 'test'))
    assert all(data[name].data_root == 'mine' for name in ('train', 'val', 'test'))


def test_a_run_trains_tests_and_names(camvid_splits, tmp_path, capsys):
    """On noise in the layout of CamVid, with a small network."""
    rng = np.random.default_rng(0)
    for folder in ('train', 'trainannot'):
        (tmp_path / folder).mkdir()
    for index in range(367):
        name = f'{index:03}.png'
        pixels = rng.integers(0, 256, (32, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / 'train' / name)
        Image.fromarray(pixels[..., 0] // 24).save(tmp_path / 'trainannot' / name)
    status = camvid_splits.main(
        [
            'kmeans_efficientnet-lite0_camvid.py',
            *('--splits', 'last67', '--seeds', '1', '--named', '100'),
            *('--data-root', str(tmp_path), '--work-dir', str(tmp_path / 'work')),
            '--cfg-options',
            'custom_hooks.0.num_images=20',
            'data.samples_per_gpu=2',
        ]
    )
    printed = capsys.readouterr()
    assert status == 0, printed.err
    assert '| kmeans_efficientnet-lite0_camvid |' in printed.out
    folder = tmp_path / 'work' / 'kmeans_efficientnet-lite0_camvid' / 'last67_1'
    assert {'latest.pth', 'names.json', 'figures.json'} <= {path.name for path in folder.iterdir()}


def test_bad_input_is_one_error(camvid_splits, tmp_path, capsys):
    missing = ['absent.py', '--data-root', str(tmp_path), '--work-dir', str(tmp_path)]
    assert camvid_splits.main(missing) == 2
    assert capsys.readouterr().err.startswith("error: no config 'absent.py'")

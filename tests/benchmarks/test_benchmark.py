import copy
import json
import mmap
import sys
from importlib import import_module

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from dynaseg.core import DynaSegLoss, Fitter, ResponseNetwork

CLUSTERS = 'fsf_plain-cnn_fit-fast_folder.py'


@pytest.fixture(scope='module')
def load(root):
    """Imports one of the modules in benchmarks/, which are scripts."""
    folder = str(root / 'benchmarks')
    sys.path.insert(0, folder)
    yield import_module
    sys.path.remove(folder)


@pytest.fixture
def benchmark(load, monkeypatch):
    """The command, whose parts run in this process, and are timed once."""
    benchmark = load('benchmark')
    monkeypatch.setattr(benchmark, 'isolated', lambda function, *args: function(*args))
    seconds_of = load('meters').seconds_of

    def once(function, device, repeats=1):
        return seconds_of(function, device, repeats=1)

    for module in ('measure_images', 'measure_roofline'):
        monkeypatch.setattr(load(module), 'seconds_of', once)
    return benchmark


@pytest.fixture
def bsds(tmp_path):
    """Three photographs, 36 x 24, with their segments, in BSDS500's layout."""
    for kind in ('images', 'groundTruth'):
        (tmp_path / kind / 'val').mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(3):
        segments = rng.integers(0, 3, (4, 6)).repeat(6, axis=0).repeat(6, axis=1)
        photo = rng.integers(0, 256, (3, 3), dtype=np.uint8)[segments]
        Image.fromarray(photo).save(tmp_path / f'images/val/{number}.jpg')
        cell = np.empty((1, 1), dtype=object)
        cell[0, 0] = {'Segmentation': (segments + 1).astype(np.uint16)}
        savemat(tmp_path / f'groundTruth/val/{number}.mat', {'groundTruth': cell})
    return tmp_path


@pytest.mark.parametrize(('weighting', 'mu'), [('scf', 50.0), ('fsf', 15.0), ('fixed', 5.0)])
def test_the_fitter_gives_the_labels_of_the_published_procedure(load, weighting, mu):
    torch.manual_seed(0)
    network = ResponseNetwork()
    blocks = torch.randn(1, 3, 6, 9, generator=torch.Generator().manual_seed(0))
    image = blocks.repeat_interleave(5, 2).repeat_interleave(5, 3)
    kept, steps = load('published').fit_as_published(
        copy.deepcopy(network).train(), image, 8, {0, 8}, weighting, mu
    )
    assert steps == 8
    assert not torch.equal(kept[0], kept[8])
    expected = kept[8].unique(return_inverse=True)[1]
    fitter = Fitter(DynaSegLoss(weighting, mu, reduction='none'), iterations=8)
    (result,) = fitter(network, image)
    agreement = (result.labels == expected).float().mean()
    assert agreement > 0.99  # of equal sums that are added in another order


def test_published_procedure_ends_at_three_clusters(load):
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1), torch.nn.BatchNorm2d(3))
    image = torch.rand(1, 3, 8, 8)
    kept, steps = load('published').fit_as_published(network, image, 50, {50})
    assert steps == 0
    assert kept[50].shape == (8, 8)


def test_bytes_are_those_of_inputs_and_outputs(load):
    left, right = torch.ones(10, 10), torch.ones(10, 10)
    with load('meters').ByteCounter() as counter:
        _ = (left + right).T  # a view moves nothing
    assert counter.total == 3 * 400


def test_memory_peak_sees_what_was_freed(load):
    peak = load('meters').MemoryPeak(torch.device('cpu'))
    with mmap.mmap(-1, 64 * 2**20) as block:  # not from what the C library holds already
        block.write(b'1' * len(block))
    assert 60 < peak.mib() < 300


@pytest.mark.parametrize('config', [[], ['--config', CLUSTERS]], ids=['regions', 'clusters'])
def test_report(benchmark, bsds, tmp_path, monkeypatch, capsys, config):
    monkeypatch.setattr(benchmark, 'MEGAPIXELS', (0.001, 0.002))
    out = tmp_path / 'report.json'
    arguments = ['--data-root', str(bsds), '--device', 'cpu', '--published-iterations', '4']
    arguments += config
    arguments += ['--parts', 'images', 'sizes', '--max-images', '2', '--batch-size', '2']
    assert benchmark.main([*arguments, '--json', str(out)]) == 0
    report = json.loads(out.read_text())
    rows = report['images']
    assert [row['procedure'] for row in rows] == [
        'published',
        'published, extrapolated from 4',
        'DynaSeg',
        'DynaSeg, 2 at once',
    ]
    assert rows[1]['seconds'] == pytest.approx(rows[0]['seconds'] * 250)
    assert rows[2]['times_faster'] == pytest.approx(rows[1]['seconds'] / rows[2]['seconds'])
    for key in ('mIoU', 'covering', 'PRI', 'VoI', 'components'):
        assert rows[3][key] == rows[2][key] > 0
    assert [row['megapixels'] for row in report['sizes']] == [0.001, 0.002]
    assert '| published ' in capsys.readouterr().out


def test_training_is_measured_beside_fcn(benchmark, load, monkeypatch):
    monkeypatch.setattr(load('measure_training'), 'TRAINING_SIZE', 64)
    options = benchmark.parse_args(['--device', 'cpu', '--batch-size', '2'])
    rows = benchmark.measure_training(options)
    assert [row['model'] for row in rows] == ['FCN, cross-entropy', 'DynaSeg']
    assert rows[0]['relative'] == 1


def test_roofline_counts_what_an_iteration_computes(benchmark, load, monkeypatch):
    monkeypatch.setattr(load('measure_roofline'), 'SIDE', 64)
    roofline = benchmark.measure_roofline(benchmark.parse_args(['--device', 'cpu']))
    # 82 x 122 pixels; two 3x3 convolutions and the 1x1 one; forward, and backward to the weights
    # and, but for the first, to the input.
    products = 82 * 122 * 2 * np.array([9 * 3 * 100, 9 * 100 * 100, 100 * 100])
    expected = (products * [2, 3, 3]).sum() / 1e9
    assert roofline['GFLOP per iteration'] == pytest.approx(expected, rel=0.02)


def test_roofline_is_of_fits_of_one_network(benchmark):
    options = benchmark.parse_args(['--device', 'cpu', '--config', 'segment.py'])
    with pytest.raises(ValueError, match=r'segment\.py: expected fits of one network'):
        benchmark.measure_roofline(options)


def test_missing_images_are_one_error(benchmark, tmp_path, capsys):
    assert benchmark.main(['--data-root', str(tmp_path), '--device', 'cpu']) == 2
    assert f'error: no images in {tmp_path / "images" / "val"}' in capsys.readouterr().err

"""Check DynaSeg on the GPUs of this machine: see ``python benchmarks/check_gpu.py --help``."""

import argparse
import importlib.metadata
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from benchmark import describe_machine, uses_gpu
from meters import seconds_of
from PIL import Image
from sklearn.datasets import load_sample_image

from dynaseg.api import load_predictor

DESCRIPTION = """\
Runs the tests that are marked for GPUs, trainings on sample data (in 32 bits, in mixed precision
and, with two GPUs, in two processes), and fits of 1 and of 32 images at once, and prints a table
for docs/benchmarks.md. It needs no network. Without a GPU it says so, and claims nothing."""
ROOT = Path(__file__).resolve().parents[1]
CONFIG = 'fsf_r18-fpn_100_sample.py'
FIT = 'fsf_plain-cnn_fit-fast_folder.py'
PACKAGES = ('torchvision', 'mmcv-full', 'mmsegmentation')
PASSED, FAILED = 'passed', 'failed'
NUM_FITTED = (1, 32)
Step = tuple[str, list[str | Path]]
Row = tuple[str, str, str]


def list_steps(folder: Path, device: str) -> Iterator[Step]:
    """List the steps to run: a name for the table, and a command.

    Args:
        folder: where the commands write.
        device: ``'cuda'``; ``'cpu'`` to try the commands themselves.

    Yields:
        The steps, in order.
    """
    python, data = sys.executable, folder / 'sample'
    yield 'sample data', [python, ROOT / 'tools' / 'make_sample_data.py', '--out', data]
    if device == 'cuda':
        yield 'tests', [python, '-m', 'pytest', '-q', '-m', 'gpu', ROOT / 'tests']
    options = ['--seed', '0', '--no-validate', '--cfg-options', f'data.train.data_root={data}']
    train = [python, ROOT / 'tools' / 'train.py', CONFIG]
    mixed = 'optimizer_config.type=AmpOptimizerHook'
    yield 'training', [*train, '--work-dir', folder / 'one', *options]
    yield 'training, mixed', [*train, '--work-dir', folder / 'mixed', *options, mixed]
    if device == 'cuda' and torch.cuda.device_count() > 1:
        launch = ['bash', ROOT / 'tools' / 'dist_train.sh', CONFIG, '2']
        yield 'training, two processes', [*launch, '--work-dir', folder / 'two', *options]


def time_fits(device: str) -> Iterator[Row]:
    """Time fits to a photograph, 240 x 160, one by one and many at once."""
    predictor, _ = load_predictor(FIT, device=device)
    image = np.asarray(Image.fromarray(load_sample_image('china.jpg')).resize((240, 160)))
    for number in NUM_FITTED:
        fit = partial(predictor, [image] * number)
        seconds = seconds_of(fit, torch.device(device), repeats=1)
        yield f'per image, {number} fitted at once', PASSED, f'{seconds / number:.3f}'


def run(steps: Iterator[Step], folder: Path) -> Iterator[Row]:
    """Run steps one after the other; yields the name, the result and the seconds of each."""
    for name, command in steps:
        began = time.perf_counter()
        done = subprocess.run(
            list(map(str, command)),
            cwd=folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if done.returncode:
            print(f'{name}:\n{done.stdout[-3000:]}', file=sys.stderr)
        result = FAILED if done.returncode else PASSED
        yield name, result, f'{time.perf_counter() - began:.1f}'


def describe(device: str) -> Iterator[Row]:
    """Describe the machine as rows of the table."""
    machine = describe_machine(device)
    if uses_gpu(device):
        query = ['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader']
        done = subprocess.run(query, text=True, capture_output=True, check=True)
        machine['driver'] = done.stdout.split()[0]
    machine |= {name: importlib.metadata.version(name) for name in PACKAGES}
    for name, value in machine.items():
        yield name, str(value), ''


def main(arguments: list[str] | None = None) -> int:
    """Run the check; returns 1 if a step failed."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--device', choices=('cuda', 'cpu'), default='cuda', help='(cuda)')
    device = parser.parse_args(arguments).device
    if device == 'cuda' and not uses_gpu(device):
        print('PyTorch sees no GPU on this machine: nothing was run')
        return 0
    print('| | | seconds |\n| --- | --- | --- |')
    is_whole = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        steps = list_steps(folder, device)
        for row in chain(describe(device), run(steps, folder), time_fits(device)):
            print(f'| {" | ".join(row)} |', flush=True)
            is_whole &= row[1] != FAILED
    return 0 if is_whole else 1


if __name__ == '__main__':
    sys.exit(main())

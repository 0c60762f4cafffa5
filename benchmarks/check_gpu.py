"""Check DynaSeg on the GPUs of this machine: see ``python benchmarks/check_gpu.py --help``."""

import argparse
import importlib.metadata
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from meters import seconds_of
from PIL import Image
from sklearn.datasets import load_sample_image

from dynaseg.api import load_predictor
from dynaseg.io.files import write_file

DESCRIPTION = """\
Runs the tests that are marked for GPUs, trainings on sample data (in 32 bits, in mixed precision
and, with two GPUs, in two processes), and fits of 1 and of 32 images at once, and prints a table
for docs/benchmarks.md. It needs no network. Without a GPU it says so, and claims nothing."""
ROOT = Path(__file__).resolve().parents[1]
CONFIG = 'fsf_r18-fpn_100_sample.py'
FIT = 'fsf_plain-cnn_fit-fast_folder.py'
PACKAGES = ('torch', 'torchvision', 'mmcv-full', 'mmsegmentation')
NUM_FITTED = (1, 32)
Step = tuple[str, list[str | Path]]
Row = tuple[str, str, str]


def list_steps(folder: Path, device: str, num_gpus: int) -> Iterator[Step]:
    """List what is run: a name for the table, and a command.

    Args:
        folder: where the commands write.
        device: ``'cuda'``; ``'cpu'`` to try the commands themselves.
        num_gpus: how many there are; with two a training is shared by two processes.

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
    if num_gpus > 1:
        launch = ['bash', ROOT / 'tools' / 'dist_train.sh', CONFIG, '2']
        yield 'training, two processes', [*launch, '--work-dir', folder / 'two', *options]


def time_fits(device: str) -> Iterator[Row]:
    """Time fits to a photograph, 240 x 160, one by one and many at once."""
    predictor, _ = load_predictor(FIT, device=device)
    image = np.asarray(Image.fromarray(load_sample_image('china.jpg')).resize((240, 160)))
    for number in NUM_FITTED:
        fit = partial(predictor, [image] * number)
        seconds = seconds_of(fit, torch.device(device), repeats=1)
        yield f'an image, {number} fitted at once', 'passed', f'{seconds / number:.3f}'


def run(steps: Iterator[Step], folder: Path) -> Iterator[Row]:
    """Run steps one after the other; gives the name, the result and the seconds of each."""
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
        result = 'failed' if done.returncode else 'passed'
        yield name, result, f'{time.perf_counter() - began:.1f}'


def describe(device: str) -> Iterator[Row]:
    """Say what the table was measured on, as rows of it."""
    hardware = platform.processor() or platform.machine()
    if device == 'cuda':
        query = ['nvidia-smi', '--query-gpu=name,driver_version', '--format=csv,noheader']
        hardware = subprocess.run(query, text=True, capture_output=True, check=True).stdout
    versions = [f'{name} {importlib.metadata.version(name)}' for name in PACKAGES]
    yield 'hardware, driver', ' / '.join(hardware.split('\n')).strip(' /'), ''
    yield 'versions', ', '.join(versions), ''
    yield 'date', date.today().isoformat(), ''


def main(arguments: list[str] | None = None) -> int:
    """Run the check; returns 1 if a step failed."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--device', choices=('cuda', 'cpu'), default='cuda', help='(cuda)')
    parser.add_argument('--out', type=Path, help='file for the table as well')
    options = parser.parse_args(arguments)
    if options.device == 'cuda' and not torch.cuda.is_available():
        print('PyTorch sees no GPU on this machine: nothing was run')
        return 0
    lines = ['| | | seconds |', '| --- | --- | --- |']
    lines += [f'| {" | ".join(row)} |' for row in describe(options.device)]
    print('\n'.join(lines), flush=True)
    is_whole = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        num_gpus = torch.cuda.device_count() if options.device == 'cuda' else 0
        steps = list_steps(folder, options.device, num_gpus)
        for row in chain(run(steps, folder), time_fits(options.device)):
            lines.append(f'| {" | ".join(row)} |')
            print(lines[-1], flush=True)
            is_whole &= row[1] == 'passed'
    if options.out:
        write_file(options.out, '\n'.join(lines) + '\n')
    return 0 if is_whole else 1


if __name__ == '__main__':
    sys.exit(main())

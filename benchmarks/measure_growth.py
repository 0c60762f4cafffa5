#!/usr/bin/env python
"""Measure whether memory grows over 500 iterations of training and over 1,000 images.

    python benchmarks/measure_growth.py --out work_dirs/growth

Prints the resident memory of all processes of each command over time, in MiB.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from kill_training import read_log
from PIL import Image
from share_training import TOOLS, started_by

INTERVAL = 0.1  # seconds between samples
PARTS = 10


def with_descendants(pid: int) -> list[int]:
    """List a process and all its descendants."""
    return [pid, *(one for child in started_by(pid) for one in with_descendants(child))]


def resident(pid: int) -> float:
    """Get the resident memory of a process and its descendants, in MiB."""
    pages = 0
    for one in with_descendants(pid):
        try:
            pages += int(Path(f'/proc/{one}/statm').read_text().split()[1])
        except (OSError, IndexError):
            continue  # it has ended
    return pages * 4096 / 2**20


def measure(
    name: str, command: list[str], log: Path, progress: Callable[[], int], total: int
) -> None:
    """Run a command and print its memory at each tenth of its work.

    Args:
        name: what the command does.
        command: the command.
        log: where its output goes.
        progress: counts the work done so far.
        total: the total amount of work.
    """
    found = []
    with log.open('wb') as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        while process.poll() is None:
            memory = resident(process.pid)
            if progress() >= total * (len(found) + 1) / PARTS:
                found.append(memory)
            time.sleep(INTERVAL)
    if process.returncode:
        sys.exit(f'error: {name} failed: see {log}')
    print(f'{name}: {" ".join(f"{memory:.0f}" for memory in found)} MiB', flush=True)


def count_iterations(work_dir: Path) -> int:
    """Count the iterations that a training has logged."""
    records = read_log(work_dir) if work_dir.is_dir() else []
    return records[-1]['iter'] if records else 0


def count_lines(path: Path) -> int:
    """Count the lines of a file, which may not exist yet."""
    return path.read_bytes().count(b'\n') if path.exists() else 0


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, default=Path('work_dirs/growth'))
    parser.add_argument('--images', type=int, default=1000)
    parser.add_argument('--iterations', type=int, default=500)
    options = parser.parse_args(arguments)
    photos = options.out / 'photos'
    photos.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(options.images):
        blocks = rng.integers(0, 256, (3, 4, 3), dtype=np.uint8)
        image = Image.fromarray(blocks).resize((48, 36), Image.Resampling.NEAREST)
        image.save(photos / f'{number:04}.jpg')
    pipeline = [
        {'type': 'LoadImage'},
        {'type': 'RandomFlip', 'prob': 0.5},
        {'type': 'DefaultFormatBundle'},
        {'type': 'Collect', 'keys': ['img']},
    ]
    config = options.out / 'config.py'
    base = TOOLS.parent / 'configs' / 'dynaseg' / 'fsf_plain-cnn_100_sample.py'
    train = {'_delete_': True, 'type': 'ImageFolderDataset', 'img_dir': str(photos)}
    config.write_text(
        f'_base_ = {str(base)!r}\n'
        f'data = dict(train={train | {"pipeline": pipeline}!r})\n'
        'model = dict(backbone=dict(channels=16), decode_head=dict(in_channels=16))\n'
        f'runner = dict(max_iters={options.iterations})\n'
    )
    measure(
        f'training, {options.iterations} iterations',
        [
            *(sys.executable, str(TOOLS / 'train.py'), str(config), '--no-validate'),
            *('--seed', '0', '--work-dir', str(options.out / 'work')),
        ],
        options.out / 'train.txt',
        lambda: count_iterations(options.out / 'work'),
        options.iterations,
    )
    measure(
        f'segment, {options.images} images',
        [
            *(sys.executable, str(TOOLS / 'segment.py'), str(photos), '--workers', '1'),
            *('--out-dir', str(options.out / 'outputs')),
        ],
        options.out / 'segment.txt',
        lambda: count_lines(options.out / 'outputs' / 'results.jsonl'),
        options.images,
    )


if __name__ == '__main__':
    main()

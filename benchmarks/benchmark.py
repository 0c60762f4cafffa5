"""Compare DynaSeg with the published procedure: see ``python benchmarks/benchmark.py --help``.

Each part runs in its own process, so that its peak memory is its own.
"""

import argparse
import json
import multiprocessing
import os
import platform
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path

import torch
from measure_images import measure_project, measure_published, measure_size
from measure_roofline import measure_roofline
from measure_training import measure_training
from prettytable import PrettyTable, TableStyle
from published import PUBLISHED_ITERATIONS

from dynaseg.io.files import write_file

DESCRIPTION = """\
parts:
  images    seconds per image, peak memory and region metrics, compared with the published procedure
  sizes     seconds and peak memory from 0.15 to 24 megapixels
  training  seconds of an iteration on a batch, compared with MMSegmentation's FCN
  roofline  an iteration of a fit, compared with the machine's peak performance"""
MEGAPIXELS = (0.154, 0.6, 2.4, 6, 24)


def describe_machine(device: str | None) -> dict[str, str | int]:
    """Say what the figures were measured on."""
    cpu = platform.processor() or platform.machine()
    if Path('/proc/cpuinfo').is_file():
        names = [
            line.split(':')[1].strip()
            for line in Path('/proc/cpuinfo').read_text().splitlines()
            if line.startswith('model name')
        ]
        cpu = names[0] if names else cpu
    gpu = torch.cuda.get_device_name(device) if uses_gpu(device) else 'none'
    return {
        'date': date.today().isoformat(),
        'processor': cpu,
        'cores': os.cpu_count(),
        'threads': torch.get_num_threads(),
        'GPU': gpu,
        'torch': torch.__version__,
        'python': platform.python_version(),
    }


def uses_gpu(device: str | None) -> bool:
    """Tell whether a device, or the default one, is a GPU."""
    return torch.cuda.is_available() and (device is None or device.startswith('cuda'))


def tabulate(rows: list[dict]) -> str:
    """Format rows as a Markdown table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = PrettyTable(names)
    table.set_style(TableStyle.MARKDOWN)
    table.align = 'l'
    for row in rows:
        table.add_row(
            [
                f'{value:.4g}' if isinstance(value := row.get(name, ''), float) else value
                for name in names
            ]
        )
    return table.get_string()


def isolated(function: Callable, *args: object) -> object:
    """Call a function in a fresh process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as pool:
        return pool.submit(function, *args).result()


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0].split(':')[0],
        epilog=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = ('images', 'sizes', 'training', 'roofline')
    parser.add_argument('--parts', nargs='+', choices=parts, default=parts)
    parser.add_argument('--data-root', default='data/bsds500', help='BSDS500 (data/bsds500)')
    parser.add_argument('--split', default='val', help='train, val or test (val)')
    parser.add_argument('--max-images', type=int, default=20, help='images, evenly spaced (20)')
    parser.add_argument('--config', help='config to measure (the default of `segment`)')
    parser.add_argument('--device', help='such as cpu or cuda:1 (the GPU if there is one)')
    parser.add_argument(
        '--published-iterations',
        type=int,
        default=100,
        help='steps of the published procedure that are run; 1000 are extrapolated from them (100)',
    )
    parser.add_argument(
        '--batch-size', type=int, default=1, help='images fitted, or trained on, at once (1)'
    )
    parser.add_argument('--repeats', type=int, default=1, help='runs for each size (1)')
    parser.add_argument('--json', type=Path, help='file for the figures')
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure what the command line asks for; returns the exit status."""
    options = parse_args(arguments)
    report = {}

    def add(name: str, rows: list[dict]) -> None:
        """Show a part, and save it even if a later one fails."""
        report[name] = rows
        if len(rows) == 1:
            rows = [{'': key, 'value': value} for key, value in rows[0].items()]
        print(f'\n{name}\n{tabulate(rows)}', flush=True)
        if options.json:
            write_file(options.json, json.dumps(report, indent=1) + '\n')

    try:
        add('machine', [describe_machine(options.device)])
        if 'images' in options.parts:
            rows = isolated(measure_published, options)
            for batch_size in sorted({1, options.batch_size}):
                rows.append(isolated(measure_project, options, batch_size))
            slow = next(row for row in rows if row['iterations'] == PUBLISHED_ITERATIONS)
            for row in rows:
                row['times_faster'] = slow['seconds'] / row['seconds']
            add('images', rows)
        if 'sizes' in options.parts:
            add('sizes', [isolated(measure_size, options, size) for size in MEGAPIXELS])
        if 'training' in options.parts:
            add('training', isolated(measure_training, options))
        if 'roofline' in options.parts:
            add('roofline', [isolated(measure_roofline, options)])
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())

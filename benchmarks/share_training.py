#!/usr/bin/env python
"""Train and test with one, two and four processes on a CPU, compare them, and kill one of two.

    python benchmarks/share_training.py CONFIG --out work_dirs/shared --cfg-options ...

Several processes share the batches of a single one (data.samples_per_gpu of the config). The first
training is repeated; all run with ``--deterministic``. At the end one of two processes is killed,
and in another training a process that loads images, and the seconds until the command ends with an
error are measured.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import torch
from kill_training import POLL_SECONDS, read_log

from dynaseg.mmseg.configs import load_config, merge_options

TOOLS = Path(__file__).resolve().parents[1] / 'tools'
KILL = signal.SIGKILL
PATIENCE = 60  # seconds within which the others must end


def launch(tool: str, processes: int, log: Path, *arguments: object) -> subprocess.Popen:
    """Start one of the tools in several processes, or in one."""
    command = [sys.executable]
    if processes > 1:
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        command += ['-m', 'torch.distributed.run', f'--nproc_per_node={processes}']
        command += [f'--master_port={port}']
    command += [str(TOOLS / tool), *map(str, arguments)]
    if processes > 1:
        command += ['--launcher', 'pytorch']
    with log.open('wb') as file:
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)


def finish(process: subprocess.Popen, log: Path) -> None:
    """Wait for a process, and exit with an error if it failed."""
    if process.wait():
        sys.exit(f'error: {log} ends with an error')


def started_by(pid: int) -> list[int]:
    """List the child processes of a process."""
    path = Path(f'/proc/{pid}/task/{pid}/children')
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def runs_training(pid: int) -> bool:
    """Tell whether a process, or the one it was forked from, runs train.py."""
    path = Path(f'/proc/{pid}/cmdline')
    return path.exists() and b'train.py' in path.read_bytes()


def kill_one(process: subprocess.Popen, work_dir: Path) -> tuple[float, int]:
    """Kill a process that a training's first process has started, in the third iteration.

    Args:
        process: the training: the launcher of several processes, or a single one whose images
            others load.
        work_dir: its work folder.

    Returns:
        The seconds until the command has ended, and its exit status.
    """
    while process.poll() is None:
        if work_dir.is_dir() and (records := read_log(work_dir)) and records[-1]['iter'] >= 3:
            begin = time.perf_counter()
            os.kill([pid for pid in started_by(process.pid) if runs_training(pid)][-1], KILL)
            try:
                status = process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                sys.exit(f'error: the training still runs {PATIENCE} s after a process was killed')
            return time.perf_counter() - begin, status
        time.sleep(POLL_SECONDS)
    sys.exit(f'error: the training ended before a process was killed: see {work_dir}.txt')


def largest_difference(path: Path, other: Path) -> float:
    """Get the largest difference between the weights of two checkpoints."""
    one, two = (torch.load(file, map_location='cpu', weights_only=True) for file in (path, other))
    return max(
        float((value.double() - two['state_dict'][name].double()).abs().max())
        for name, value in one['state_dict'].items()
    )


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='path or name of a config')
    parser.add_argument('--processes', type=int, nargs='+', default=[1, 2, 4])
    parser.add_argument('--out', type=Path, default=Path('work_dirs/shared'))
    parser.add_argument('--cfg-options', nargs='+', default=[], help='as for train.py')
    options = parser.parse_args(arguments)
    config = merge_options(load_config(options.config), options.cfg_options)
    batch, last = config.data.samples_per_gpu, f'iter_{config.runner.max_iters}.pth'
    options.out.mkdir(parents=True)

    def train(name: str, processes: int, *more: str) -> tuple[subprocess.Popen, Path]:
        work_dir = options.out / name
        changes = [*options.cfg_options, f'data.samples_per_gpu={batch // processes}', *more]
        process = launch(
            'train.py',
            processes,
            Path(f'{work_dir}.txt'),
            *(config.filename, '--work-dir', work_dir, '--seed', 0, '--deterministic'),
            *('--cfg-options', 'log_config.interval=1', 'checkpoint_config.interval=1'),
            *('checkpoint_config.max_keep_ckpts=-1', *changes),
        )
        return process, work_dir

    reports = {}
    for processes in options.processes:
        process, work_dir = train(f'by_{processes}', processes)
        finish(process, Path(f'{work_dir}.txt'))
        tested = options.out / f'tested_by_{processes}'
        arguments = [config.filename, options.out / f'by_{options.processes[0]}' / last]
        arguments += ['--eval', 'mIoU', '--work-dir', tested, '--cfg-options', *options.cfg_options]
        finish(launch('test.py', processes, Path(f'{tested}.txt'), *arguments), tested)
        (report,) = tested.glob('eval_*.json')
        reports[processes] = json.loads(report.read_text())['metric']
        first = options.processes[0]
        one, several = (
            largest_difference(options.out / f'by_{first}' / name, work_dir / name)
            for name in ('iter_1.pth', last)
        )
        same = all(
            value == reports[first][name] or value != value  # NaN of classes that do not occur
            for name, value in reports[processes].items()
        )
        print(
            f'{processes} processes: weights differ from those of {first} by at most {one:.1e} '
            f'after one iteration and {several:.1e} at the end; '
            f'tests of one checkpoint are {"equal" if same else "different"}',
            flush=True,
        )
    process, work_dir = train('again', options.processes[0])
    finish(process, Path(f'{work_dir}.txt'))
    first = options.out / f'by_{options.processes[0]}'
    print(f'again: weights differ by at most {largest_difference(first / last, work_dir / last)}')
    endless = ('runner.max_iters=10000', 'data.workers_per_gpu=1')
    for name, processes in (('a process of two', 2), ('one that loads images', 1)):
        seconds, status = kill_one(*train(name.replace(' ', '_'), processes, *endless))
        print(f'{name} killed: exit status {status} after {seconds:.1f} s', flush=True)


if __name__ == '__main__':
    main()

#!/usr/bin/env python
"""Kill a training at random moments, resume it each time, and compare with an uninterrupted one.

    python benchmarks/kill_training.py CONFIG --kills 20 --out work_dirs/kills --cfg-options ...

The moments are spread over the iterations, and fall anywhere within one: in the step, the
evaluation or the saving of a checkpoint. All processes get SIGKILL, including those that load
images.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from dynaseg.io.files import is_whole
from dynaseg.mmseg.configs import load_config, merge_options
from dynaseg.mmseg.resume import CHECKPOINT_NAME

TRAIN = Path(__file__).resolve().parents[1] / 'tools' / 'train.py'
POLL_SECONDS = 0.01


def start(arguments: list[str], log: Path) -> subprocess.Popen:
    """Start a training as the leader of its own process group."""
    with log.open('ab') as file:
        return subprocess.Popen(
            [sys.executable, str(TRAIN), *arguments],
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def read_log(work_dir: Path) -> list[dict]:
    """Read the logged lines of the last start of a training; the newest may be half written."""
    logs = sorted(work_dir.glob('*.log.json'), key=lambda path: path.stat().st_mtime)
    lines = logs[-1].read_text().splitlines() if logs else []
    records = []
    for line in lines:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return [record for record in records if record.get('mode') == 'train']


def kill_at(process: subprocess.Popen, work_dir: Path, iteration: int, share: float) -> int | None:
    """Kill a training some way into an iteration.

    Args:
        process: the training.
        work_dir: its work folder.
        iteration: the training is killed once it has logged this iteration since its last start,
        share: and this share of an iteration's time has passed.

    Returns:
        The last logged iteration; None if the training has ended by itself.
    """
    known = {path: path.stat().st_size for path in work_dir.glob('*.log.json')}
    while process.poll() is None:
        if known != {path: path.stat().st_size for path in work_dir.glob('*.log.json')}:
            records = read_log(work_dir)
            if records and records[-1]['iter'] >= iteration:
                time.sleep(share * records[-1]['time'])
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return records[-1]['iter']
        time.sleep(POLL_SECONDS)
    return None


def compare(path: Path, other: Path) -> list[str]:
    """List the weights and the states of the optimiser that are not bitwise equal."""
    one, two = (torch.load(file, map_location='cpu', weights_only=True) for file in (path, other))
    different = [
        name
        for name, value in one['state_dict'].items()
        if not torch.equal(value, two['state_dict'][name])
    ]
    states, others = one['optimizer']['state'], two['optimizer']['state']
    for key, state in states.items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and not torch.equal(value, others[key][name]):
                different.append(f'optimizer {key} {name}')
    return different


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status is 1 if something was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='path or name of a config')
    parser.add_argument('--kills', type=int, default=20)
    parser.add_argument('--seed', type=int, default=0, help='seed of the training and the moments')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/kills'), help='an empty folder')
    parser.add_argument('--cfg-options', nargs='+', default=[], help='as for train.py')
    options = parser.parse_args(arguments)
    config = merge_options(load_config(options.config), options.cfg_options)
    max_iters = config.runner.max_iters
    common = [str(config.filename), '--seed', str(options.seed)]
    common += ['--cfg-options', 'log_config.interval=1', *options.cfg_options]
    whole, killed = options.out / 'whole', options.out / 'killed'
    killed.mkdir(parents=True)

    begin = time.perf_counter()
    if start(
        [*common[:3], '--work-dir', str(whole), *common[3:]], options.out / 'whole.txt'
    ).wait():
        sys.exit(f'error: the uninterrupted training failed: see {options.out}/whole.txt')
    print(f'uninterrupted: {time.perf_counter() - begin:.0f} s, {max_iters} iterations')

    rng = random.Random(options.seed)
    moments = sorted(rng.randint(1, max_iters - 1) for _ in range(options.kills))
    command = [*common[:3], '--work-dir', str(killed), '--auto-resume', *common[3:]]
    kills = damaged = repeated = done = 0
    for moment in moments:
        process = start(command, options.out / 'killed.txt')
        last = kill_at(process, killed, moment, rng.random())
        if last is None:
            sys.exit(f'error: a training ended before it was killed: {options.out}/killed.txt')
        kills += 1
        first = read_log(killed)[0]['iter']
        repeated += max(0, done - first + 1)
        done = max(done, last)
        files = [path for path in killed.iterdir() if CHECKPOINT_NAME.fullmatch(path.name)]
        damaged += sum(not is_whole(path) for path in files)
        print(f'kill {kills}: after iteration {last}, {len(files)} checkpoints', flush=True)
    if start(command, options.out / 'killed.txt').wait():
        sys.exit(f'error: the last start failed: see {options.out}/killed.txt')
    name = f'iter_{max_iters}.pth'
    different = compare(whole / name, killed / name)
    print(
        f'{kills} kills, {repeated} iterations repeated, {damaged} damaged checkpoints, '
        f'{len(different)} weights and states that differ'
    )
    for item in different[:10]:
        print(f'differs: {item}', file=sys.stderr)
    return int(bool(different or damaged))


if __name__ == '__main__':
    sys.exit(main())

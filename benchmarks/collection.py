"""Segment a collection on a Dask cluster whose parts are killed.

Cuts photographs into ``--pictures`` pictures of 240 x 160, starts a scheduler and workers as
processes on this machine, and segments the pictures with ``dynaseg segment --scheduler``. After a
quarter of the images it kills a worker and starts a new one; after half of them it kills the
scheduler and all workers, starts them again and repeats the command, which resumes. Checks that
each picture has one record and complete outputs, and compares every tenth with a run without a
cluster. For example:

    python benchmarks/collection.py data/bsds500/images/train --pictures 1000 --workers 2

Prints what happened, and images per hour and core. Needs dask.distributed.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from dynaseg.photos.outputs import RECORDS_NAME, are_as_recorded

SIZE = (240, 160)
PORT = 18786
COMPARE_EVERY = 10
ADDRESS = f'tcp://127.0.0.1:{PORT}'


def cut_pictures(photographs: Path, folder: Path, number: int) -> None:
    """Cut ``number`` pictures out of photographs, row by row, and write them as PNG."""
    count, (width, height) = 0, SIZE
    for path in sorted(photographs.glob('*.jpg')):
        with Image.open(path) as image:
            for y in range(0, image.height - height + 1, height):
                for x in range(0, image.width - width + 1, width):
                    if count < number:
                        picture = image.crop((x, y, x + width, y + height))
                        picture.save(folder / f'{count:05d}.png')
                        count += 1
    if count < number:
        raise SystemExit(f'error: {photographs} gives {count} pictures, not {number}')


class Cluster:
    """A scheduler and workers, each in its own process."""

    def __init__(self, workers: int) -> None:
        self.scheduler = _start('scheduler', '--port', str(PORT), '--no-dashboard')
        self.workers = [self._start_worker() for _ in range(workers)]

    def kill_worker(self) -> None:
        """Kill a worker, and start another."""
        self.workers[0].kill()
        self.workers[0].wait()
        self.workers[0] = self._start_worker()

    def kill(self) -> None:
        """Kill everything."""
        for process in (self.scheduler, *self.workers):
            process.kill()
            process.wait()

    def _start_worker(self) -> subprocess.Popen:
        return _start('worker', ADDRESS, '--nthreads', '1', '--no-nanny', '--no-dashboard')


def _start(role: str, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, '-m', 'distributed.cli.dask_' + role, *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _segment(pictures: list[Path] | Path, out: Path, *arguments: str) -> subprocess.Popen:
    inputs = [pictures] if isinstance(pictures, Path) else pictures
    command = [sys.executable, '-m', 'dynaseg.cli', 'segment', *map(str, inputs)]
    command += ['--out-dir', str(out), '--device', 'cpu', *arguments]
    return subprocess.Popen(command, stderr=(out.parent / 'log').open('w'))


def _read_records(out: Path) -> list[dict]:
    path = out / RECORDS_NAME
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    records = [json.loads(line) for line in lines if line.endswith('\n')]
    return [record for record in records if 'file' in record]


def _wait_for(run: subprocess.Popen, out: Path, number: int) -> None:
    while len(_read_records(out)) < number:
        if run.poll() is not None:
            raise SystemExit(f'error: the run ended early: {(out.parent / "log").read_text()}')
        time.sleep(0.5)


def measure(photographs: Path, number: int, workers: int) -> None:
    """Run everything, and print the results."""
    with TemporaryDirectory() as name:
        pictures, out, alone = (Path(name, part) for part in ('pictures', 'out', 'alone'))
        pictures.mkdir()
        cut_pictures(photographs, pictures, number)
        cluster = Cluster(workers)
        try:
            start = time.perf_counter()
            run = _segment(pictures, out, '--scheduler', ADDRESS)
            _wait_for(run, out, number // 4)
            cluster.kill_worker()
            print(f'worker killed after {len(_read_records(out))} images', flush=True)
            _wait_for(run, out, number // 2)
            cluster.kill()
            error = run.communicate()[1].splitlines()[-2:]
            done = len(_read_records(out))
            print(f'scheduler and workers killed after {done} images')
            print(f'the command ended with status {run.returncode}: {" / ".join(error)}')
            cluster = Cluster(workers)
            run = _segment(pictures, out, '--scheduler', ADDRESS)
            error = run.communicate()[1]
            seconds = time.perf_counter() - start
            print(f'the same command again ended with status {run.returncode}')
        finally:
            cluster.kill()
        records = _read_records(out)
        files = {record['file'] for record in records}
        whole = sum(are_as_recorded(out, record) for record in records)
        print(f'{len(records)} records of {len(files)} images, {whole} with complete outputs')
        rate = number / seconds / workers * 3600
        print(f'{seconds:.0f} s in all with {workers} workers: {rate:.0f} images per hour and core')
        some = sorted(pictures.iterdir())[::COMPARE_EVERY]
        _segment(some, alone).communicate()
        equal = sum(
            (out / 'regions' / f'{path.stem}.png').read_bytes()
            == (alone / 'regions' / f'{path.stem}.png').read_bytes()
            for path in some
        )
        print(f'{equal} of {len(some)} label maps equal those of a run without a cluster')


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('photographs', type=Path, help='folder of JPEG files')
    parser.add_argument('--pictures', type=int, default=1000)
    parser.add_argument('--workers', type=int, default=2)
    options = parser.parse_args()
    measure(options.photographs, options.pictures, options.workers)


if __name__ == '__main__':
    main()

"""The loop over image files: read, segment, write, record."""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from dynaseg.core.process import one_thread
from dynaseg.io.reading import ImageReadError, read_header, read_image
from dynaseg.photos.cluster import run_on_cluster
from dynaseg.photos.finding import name_outputs
from dynaseg.photos.outputs import OutputWriter
from dynaseg.photos.regions import RegionChoice
from dynaseg.photos.results import Results, describe_file
from dynaseg.photos.workers import run_in_processes
from dynaseg.predictor import Segmentation

WORKER_BYTES = 3 * 2**30
# So many images of so many pixels are segmented before another process has started.
FEW, FEW_PIXELS = 5, 6_000_000
TOO_LARGE = 'too large for the memory that is free'

Batch = Sequence[tuple[Path, str]]  # files, and the names of their outputs


class Predictor(Protocol):
    """Segments images in memory, RGB, uint8, each (H, W, 3)."""

    gives_hierarchies: bool  # rather than clusters alone

    def __call__(self, images: Sequence[np.ndarray]) -> list[Segmentation]:
        """Segment images."""


def segment_files(
    files: Iterable[Path],
    results: Results,
    predictor: Predictor,
    choice: RegionChoice = RegionChoice(),  # noqa: B008 - it is frozen
    batch_size: int = 1,
    workers: int | None = 1,
    scheduler: str | None = None,
) -> list[dict]:
    """Segment those image files that are not done yet; see :func:`dynaseg.segment_images`.

    Args:
        files: image files, by their absolute paths.
        results: where the outputs go.
        predictor: segments images in memory. Where the memory does not do for the images that it
            was given, they are tried one by one, and those for which it does not are skipped.
        choice: which regions are shown.
        batch_size: images that are segmented at once.
        workers: processes that work side by side; 1 for none but this one, None for
            :func:`default_workers`. On a CPU each computes in one thread, so that their number does
            not change the results.
        scheduler: address of a Dask cluster that does the work in place of this machine.

    Returns:
        One record per file.

    Raises:
        RunStoppedError: if outputs cannot be written.
        ConnectionError, ImportError: if there is no such scheduler, or what it takes is missing.
        DefectError: if the predictor raises anything else, which is a bug, not a bad image.
    """
    files = list(files)
    names = name_outputs(files, results.names, results.is_foreign)
    pending = [(file, names[file]) for file in files if not results.is_done(file)]
    if len(pending) < len(files):
        done = f'{len(files) - len(pending):,} of {len(files):,} images'
        print(f'{done} were done before; --overwrite segments them again', file=sys.stderr)
    batches = [pending[first : first + batch_size] for first in range(0, len(pending), batch_size)]
    job = Job(predictor, OutputWriter(results.out_dir.absolute(), choice))
    segmented = 0
    if pending:
        tasks = _claimed(batches, results)
        if scheduler is None:
            workers = workers or default_workers([file for file, _ in pending])
            finished = _run(job, tasks, min(workers, len(batches)))
        else:
            folder = results.out_dir.absolute()
            finished = run_on_cluster(job, job.abandon, tasks, scheduler, folder)
        try:
            with closing(finished), _progress(len(pending)) as progress:
                for record in chain.from_iterable(finished):
                    results.add(record)
                    segmented += 'error' not in record
                    progress.update()
        except ImportError:
            raise
        except OSError as error:
            if isinstance(error, ConnectionError) and not segmented:
                raise  # nothing was started
            raise RunStoppedError(error, segmented) from error
        except Exception as error:
            raise DefectError(str(error)) from error
    records = [results[file] for file in files]
    for record in records:
        if 'error' in record:
            print(f'skipped {record["file"]}: {record["error"]}', file=sys.stderr)
    return records


def default_workers(files: Sequence[Path]) -> int:
    """Count the processes that the cores and the free memory allow; 1 for a few small images."""
    if len(files) <= FEW and sum(map(_count_pixels, files)) <= FEW_PIXELS:
        return 1
    has_affinity = hasattr(os, 'sched_getaffinity')
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return max(1, min(cores, _free_memory() // WORKER_BYTES))


def _count_pixels(file: Path) -> int:
    try:
        return read_header(file).pixels
    except ImageReadError:  # its record will say so
        return 0


class RunStoppedError(OSError):
    """A run that could not write its outputs, as on a full disk.

    Args:
        error: what went wrong.
        segmented: images that were segmented before, whose outputs and records are whole.
    """

    def __init__(self, error: OSError, segmented: int) -> None:
        super().__init__(str(error))
        self.segmented = segmented


class DefectError(RuntimeError):
    """An error of the program, not of an image, while images were segmented."""


class Job:
    """Segments a batch of files, writes their outputs, and returns their records.

    Args:
        predictor: segments images in memory.
        write: writes the outputs of an image.
    """

    def __init__(self, predictor: Predictor, write: OutputWriter) -> None:
        self.predictor = predictor
        self.write = write
        self.max_pixels = Image.MAX_IMAGE_PIXELS

    def __call__(self, batch: Batch) -> list[dict]:
        """Do a batch; what goes wrong with an image is in its record."""
        # Of machines of a cluster the environment may be another.
        Image.MAX_IMAGE_PIXELS = self.max_pixels
        records, images = [], []
        for file, name in batch:
            record = {'file': str(file), 'name': name}
            try:
                description = describe_file(file)  # before: that it changes later shows
                images.append(read_image(file))
                records.append(record | description)
            except ImageReadError as error:
                records.append(record | {'error': error.reason})
            except OSError as error:
                records.append(record | {'error': error.strerror})
            except MemoryError as error:
                records.append(record | {'error': _describe_lack(error)})
        readable = [place for place, record in enumerate(records) if 'error' not in record]
        for place, image, done in zip(readable, images, self._segment(images), strict=True):
            records[place] = self._finish(records[place], image, *done)
        return records

    def abandon(self, batch: Batch) -> list[dict]:
        """Make the records of a batch whose process was ended each time."""
        reason = 'its process was ended by the system, perhaps for want of memory'
        return [{'file': str(file), 'name': name, 'error': reason} for file, name in batch]

    def _segment(
        self, images: list[np.ndarray]
    ) -> Iterator[tuple[Segmentation | Exception, float]]:
        """Segment images at once or, where that fails, one by one, and time them."""
        if not images:
            return
        start = time.perf_counter()
        lack = None
        try:
            segmentations = self.predictor(images)
        except (MemoryError, RuntimeError) as error:
            if not is_lack_of_memory(error):
                raise
            lack = error.with_traceback(None)  # whose frames hold what filled the memory
        if lack is None:
            seconds = (time.perf_counter() - start) / len(images)
            yield from ((segmentation, seconds) for segmentation in segmentations)
        elif len(images) == 1:
            yield lack, 0.0
        else:
            for image in images:
                yield from self._segment([image])

    def _finish(
        self, record: dict, image: np.ndarray, done: Segmentation | Exception, seconds: float
    ) -> dict:
        named = {'file': record['file'], 'name': record['name']}
        if isinstance(done, Exception):
            return named | {'error': _describe_lack(done)}
        start = time.perf_counter()
        try:
            written = self.write(record['name'], image, done)
        except MemoryError as error:
            return named | {'error': _describe_lack(error)}
        seconds += time.perf_counter() - start
        return record | written | {'seconds': round(seconds, 3)}


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn lack of memory into an OSError that names what there is too little for."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_lack_of_memory(error):
            raise
        raise OSError(f'{name}: {TOO_LARGE}') from error


def is_lack_of_memory(error: Exception) -> bool:
    """Tell an error for want of memory, on any device, from others.

    Examples:
        >>> is_lack_of_memory(MemoryError()), is_lack_of_memory(RuntimeError('shape mismatch'))
        (True, False)
    """
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and 'DefaultCPUAllocator' in str(error)


def _describe_lack(error: Exception) -> str:
    first = (str(error).splitlines() or [type(error).__name__])[0]
    return f'{TOO_LARGE} ({first})'


def _claimed(batches: Iterable[Batch], results: Results) -> Iterator[Batch]:
    """Note the outputs of each batch as this run's before it is given to a process."""
    for batch in batches:
        results.claim(batch)
        yield batch


def _run(job: Job, batches: Iterable[Batch], workers: int) -> Iterator[list[dict]]:
    if workers > 1:
        yield from run_in_processes(job, job.abandon, batches, workers)
    else:
        with one_thread():
            yield from map(job, batches)


def _progress(total: int) -> tqdm:
    return tqdm(total=total, unit='image', file=sys.stderr)


def _free_memory() -> int:
    """Get the memory that processes can still take, in bytes; 2^63 where it is not known."""
    try:
        lines = Path('/proc/meminfo').read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if 'MemAvailable' in line)
    except (OSError, StopIteration):
        return 2**63

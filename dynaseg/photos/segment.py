"""The loop over image files: read, segment, draw, write, record."""

import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from dynaseg.core.labels import connected_components
from dynaseg.io.files import atomic_write, write_label_map
from dynaseg.io.reading import ImageReadError, read_image
from dynaseg.photos.drawing import draw_overlay
from dynaseg.photos.finding import name_outputs
from dynaseg.photos.results import LABELS, OVERLAYS, THUMBNAILS, Results, describe_file
from dynaseg.predictor import Segmentation

FAILURES = (RuntimeError, ValueError, MemoryError)
THUMBNAIL_SIZE = (1280, 1280)
MAX_JPEG_SIZE = (65500, 65500)  # of libjpeg; larger overlays are scaled down
JPEG = {'format': 'JPEG', 'quality': 90, 'optimize': True}
WORKER_BYTES = 3 * 2**30
MAX_DEATHS = 2  # of workers with an image, after which it is skipped

Predictor = Callable[[Sequence[np.ndarray]], list[Segmentation]]


def segment_files(
    files: Iterable[Path],
    results: Results,
    predictor: Predictor,
    batch_size: int = 1,
    workers: int | None = 1,
) -> list[dict]:
    """Segment those image files that are not done yet; see :func:`dynaseg.segment_images`.

    Args:
        files: image files, by their absolute paths.
        results: where the outputs go.
        predictor: segments images in memory. Where it raises RuntimeError (such as too little
            memory), ValueError or MemoryError, the images that it was given are tried one by one,
            and those that fail again are skipped.
        batch_size: images that are segmented at once.
        workers: processes of one thread that work side by side; 1 for none but this one, None for
            as many as the cores, the memory and the images allow.

    Returns:
        A record a file.
    """
    files = list(files)
    names = name_outputs(files, results.names)
    pending = [(file, names[file]) for file in files if not results.is_done(file)]
    batches = [pending[first : first + batch_size] for first in range(0, len(pending), batch_size)]
    workers = min(workers or default_workers(), len(batches))
    job = _Job(predictor, results)
    if pending:
        finished = _run_in_processes(job, batches, workers) if workers > 1 else map(job, batches)
        try:
            with tqdm(total=len(pending), unit='image', file=sys.stderr) as progress:
                for records in finished:
                    for record in records:
                        results.add(record)
                        progress.update()
        finally:
            results.save()
    records = [results[file] for file in files]
    for record in records:
        if 'error' in record:
            print(f'skipped {record["file"]}: {record["error"]}', file=sys.stderr)
    return records


def default_workers() -> int:
    """Count the processes that the cores and the free memory allow."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    memory = WORKER_BYTES * (cores or 1)
    if 'SC_AVPHYS_PAGES' in os.sysconf_names:
        memory = os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    return max(1, min(cores or 1, memory // WORKER_BYTES))


class _Job:
    """Segments a batch of files, given with the names of their outputs; returns their records."""

    def __init__(self, predictor: Predictor, results: Results) -> None:
        self.predictor = predictor
        self.outputs = results.outputs

    def __call__(self, batch: Sequence[tuple[Path, str]]) -> list[dict]:
        records, images = [], []
        for file, name in batch:
            record = {'file': str(file), 'name': name}
            try:
                image = read_image(file)
                records.append(record | describe_file(file))
                images.append(image)
            except ImageReadError as error:
                records.append(record | {'error': error.reason})
        readable = [record for record in records if 'error' not in record]
        for record, image, done in zip(readable, images, self._segment(images), strict=True):
            segmentation, seconds = done
            if isinstance(segmentation, Exception):
                for key in ('bytes', 'modified'):
                    del record[key]
                record['error'] = f'cannot be segmented: {segmentation}'
                continue
            _write_outputs(image, segmentation.labels, self.outputs(record['name']))
            record |= _describe(segmentation, seconds)
        return records

    def _segment(
        self, images: list[np.ndarray]
    ) -> Iterator[tuple[Segmentation | Exception, float]]:
        """Segment images at once or, where that fails, one by one; yields seconds an image, too."""
        if not images:
            return
        start = time.perf_counter()
        try:
            segmentations = self.predictor(images)
        except FAILURES as error:
            if len(images) == 1:
                yield error, 0.0
            else:
                for image in images:
                    yield from self._segment([image])
            return
        seconds = (time.perf_counter() - start) / len(images)
        yield from ((segmentation, seconds) for segmentation in segmentations)


_job: _Job


def _start_worker(job: _Job) -> None:
    global _job
    _job = job
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's business
    torch.set_num_threads(1)


def _run_job(batch: Sequence[tuple[Path, str]]) -> list[dict]:
    return _job(batch)


def _run_in_processes(
    job: _Job, batches: list[Sequence[tuple[Path, str]]], workers: int
) -> Iterator[list[dict]]:
    """Run a job on batches side by side; yields their records as they are done.

    Where a process dies, as the system ends one for want of memory, the others' batches are run
    again in fewer processes; one that was there at several deaths is skipped.
    """
    context = multiprocessing.get_context('spawn')  # forks of threads that compute may hang
    waiting = dict(enumerate(batches))
    deaths = Counter()
    while waiting:
        pool = ProcessPoolExecutor(workers, context, _start_worker, (job,))
        # Few at a time, so that a death concerns few.
        futures = {}
        remaining = iter(list(waiting.items()))
        try:
            while True:
                while len(futures) < 2 * workers and (item := next(remaining, None)):
                    futures[pool.submit(_run_job, item[1])] = item[0]
                if not futures:
                    break
                future = next(as_completed(futures))
                records = future.result()
                del waiting[futures.pop(future)]
                yield records
        except BrokenProcessPool:
            deaths.update(futures.values())
            workers = max(1, workers - 1)
            for number, count in deaths.items():
                if number in waiting and count >= MAX_DEATHS and workers == 1:
                    yield [
                        {'file': str(file), 'name': name, 'error': 'its process was ended'}
                        for file, name in waiting.pop(number)
                    ]
        finally:
            pool.shutdown(cancel_futures=True)


def _describe(segmentation: Segmentation, seconds: float) -> dict[str, object]:
    """Describe a segmentation in a record."""
    labels, fit = segmentation.labels, segmentation.fit
    height, width = labels.shape
    clusters = len(np.unique(labels))
    return {
        'size': [width, height],
        'clusters': clusters,
        'components': int(connected_components(labels).max()) + 1,
        'iterations': 0 if fit is None else fit.iterations,
        'stop_reason': 'trained' if fit is None else fit.stop_reason,
        'min_clusters': 1 if fit is None else fit.min_clusters,
        'seconds': round(seconds, 3),
        'clusters_by_iteration': [clusters] if fit is None else list(fit.num_clusters),
    }


def _write_outputs(image: np.ndarray, labels: np.ndarray, paths: dict[str, Path]) -> None:
    """Write the label map, overlay and thumbnail of an image (H, W, 3) with labels (H, W)."""
    write_label_map(paths[LABELS], labels)
    with atomic_write(paths[OVERLAYS]) as temporary:
        overlay = Image.fromarray(draw_overlay(image, labels))
        overlay.thumbnail(MAX_JPEG_SIZE)
        overlay.save(temporary, **JPEG)
    with atomic_write(paths[THUMBNAILS]) as temporary:
        thumbnail = Image.fromarray(image)
        thumbnail.thumbnail(THUMBNAIL_SIZE)
        thumbnail.save(temporary, **JPEG)

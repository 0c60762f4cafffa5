import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from mmcv import Config, ProgressBar
from mmcv.utils import get_logger
from PIL import Image

from dynaseg.apis.build import build_segmentor_from, load_config
from dynaseg.apis.drawing import draw_overlay
from dynaseg.apis.inputs import find_images, name_outputs
from dynaseg.apis.reading import ImageReadError, read_image
from dynaseg.apis.results import LABELS, OUTPUTS, OVERLAYS, THUMBNAILS, Results, describe_file
from dynaseg.evaluation.regions import connected_components
from dynaseg.utils.files import whole_file
from dynaseg.utils.prefetch import prefetch
from dynaseg.version import __version__

if TYPE_CHECKING:
    from dynaseg.fitting import FitResult

FAILURES = (RuntimeError, ValueError, MemoryError)
THUMBNAIL_SIZE = (1280, 1280)
MAX_JPEG_SIZE = (65500, 65500)  # of libjpeg; larger overlays are scaled down
JPEG = {'format': 'JPEG', 'quality': 90, 'optimize': True}


def segment_images(
    inputs: str | PathLike | Iterable[str | PathLike],
    out_dir: str | PathLike = 'outputs',
    config: str | PathLike | Config | None = None,
    checkpoint: str | PathLike | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> list[dict]:
    """Segment photographs without labels, by DynaSeg (Guermazi et al., 2024).

    In ``out_dir``, for each image: ``labels/NAME.png``, its clusters, from 0, at its own size (as
    it is meant to be seen: EXIF orientation is applied), in 8 bits, or 16 when they are over 256;
    ``overlays/NAME.jpg``, the clusters outlined and coloured over it; a line in ``results.json``.
    For all images, ``index.html`` shows them. NAME is the file's stem, numbered where files share
    one.

    Every file is written whole or not at all. An interrupted run goes on where it was when it is
    called again with the same settings; images that are done and have not changed are passed over,
    whichever call they come from. Progress and what was skipped are reported on standard error.

    Args:
        inputs: files, folders (with their subfolders) and patterns such as ``'photos/*.jpg'``:
            JPEG, PNG, TIFF, WebP and BMP, read as :func:`read_image` says.
        out_dir: folder for the outputs; it is made.
        config: path of a config, a name under DynaSeg's ``configs/``, or a loaded config; one that
            suits photographs where None.
        checkpoint: file with trained weights; fresh ones, drawn from ``seed``, where None.
        device: such as ``'cpu'`` or ``'cuda:1'``; the GPU where None and there is one.
        seed: seed of the fresh weights, at least 0.
        overwrite: do every image again, and allow other settings than before.

    Returns:
        A record an image, in the order of ``inputs``: ``file`` (absolute path), ``name``, ``bytes``
        and ``modified`` (the file's, in nanoseconds), ``size`` ([width, height] in pixels),
        ``clusters``, ``components`` (connected regions of one cluster, 4 neighbours),
        ``iterations``, ``stop_reason`` and ``floor`` (as in :class:`dynaseg.fitting.FitResult`),
        ``seconds`` (of segmenting alone; images of a batch share them), ``clusters_by_iteration``
        (from before the first). One that was skipped has ``file``, ``name`` and ``error`` (why).

    Raises:
        FileNotFoundError: if no image, or no config or checkpoint of that name, is found.
        ValueError: if the config, the checkpoint, the device or the seed is unfit, or, unless
            ``overwrite``, if ``out_dir`` holds results of other settings.

    Example:
        >>> import tempfile
        >>> from sklearn.datasets import load_sample_image
        >>> photo = Image.fromarray(load_sample_image('flower.jpg')).resize((32, 24))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     photo.save(f'{folder}/flower.png')
        ...     records = segment_images(f'{folder}/flower.png', f'{folder}/out', device='cpu')
        >>> records[0]['name'], records[0]['size']
        ('flower', [32, 24])
    """
    files = find_images(inputs, exclude=[Path(out_dir, folder) for folder in OUTPUTS])
    config = load_config(config)
    segmentor = build_segmentor_from(config, checkpoint, device, seed)
    results = Results(out_dir, _describe_settings(config, checkpoint, seed), overwrite)
    batch_size = config.get('data', {}).get('test_dataloader', {}).get('samples_per_gpu', 1)
    on_cpu = next(segmentor.parameters()).device.type == 'cpu'
    # On a CPU the fit takes every core, and threads beside it would only slow it down.
    workers = 0 if on_cpu else min(8, os.cpu_count() or 1)
    return segment_files(files, results, segmentor.segment_stream, batch_size, workers)


def segment_files(
    files: Iterable[Path],
    results: Results,
    segment_stream: Callable[[Iterable[tuple], int], Iterator[tuple]],
    batch_size: int = 1,
    workers: int = 0,
) -> list[dict]:
    """Segment those image files that are not done yet; see :func:`segment_images`.

    Args:
        files: image files, by their absolute paths.
        results: where the outputs go.
        segment_stream: as :meth:`DynaSeg.segment_stream`. Where it raises RuntimeError (such as too
            little memory), ValueError or MemoryError, the images that it holds are tried one by
            one, and those that fail again are skipped.
        batch_size: most images that are segmented at once.
        workers: threads that read ahead, and threads that write; 0 for none.

    Returns:
        A record a file.
    """
    files = list(files)
    names = name_outputs(files, results.names)
    pending = [file for file in files if not results.is_done(file)]
    if pending:
        progress = ProgressBar(len(pending), file=sys.stderr)

        def add(record: dict) -> None:
            results.add(record)
            progress.update()

        def read(file: Path) -> tuple[dict, np.ndarray | None]:
            record = {'file': str(file), 'name': names[file]}
            try:
                image = read_image(file)
                return record | describe_file(file), image
            except ImageReadError as error:
                return record | {'error': error.reason}, None

        def readable() -> Iterator[tuple[dict, np.ndarray]]:
            for record, image in prefetch(read, pending, workers):
                if image is None:
                    add(record)
                else:
                    yield record, image

        def write(segmented: Segmented) -> dict:
            return _write_record(segmented, results)

        try:
            stream = _segment(readable(), segment_stream, batch_size)
            for record in prefetch(write, stream, workers):
                add(record)
        finally:
            sys.stderr.write('\n')
            results.save()
    records = [results[file] for file in files]
    logger = get_logger('dynaseg')
    for record in records:
        if 'error' in record:
            logger.warning('skipped %s: %s', record['file'], record['error'])
    return records


class Segmented(NamedTuple):
    """An image and its segmentation, or why there is none."""

    record: dict
    image: np.ndarray
    seconds: float
    fit: 'FitResult | None' = None
    error: Exception | None = None


def _segment(
    images: Iterator[tuple[dict, np.ndarray]],
    segment_stream: Callable[[Iterable[tuple], int], Iterator[tuple]],
    batch_size: int,
) -> Iterator[Segmented]:
    """Segment images, (H, W, 3), as a stream; where that fails, those that it held one by one."""
    held = {}

    def items() -> Iterator[tuple[str, np.ndarray]]:
        for record, image in images:
            held[record['file']] = record, image, time.perf_counter()
            yield record['file'], image

    def finish(key: str, fit: 'FitResult | None', error: Exception | None = None) -> Segmented:
        record, image, start = held.pop(key)
        return Segmented(record, image, time.perf_counter() - start, fit, error)

    while True:
        try:
            for key, fit in segment_stream(items(), batch_size):
                yield finish(key, fit)
            return
        except FAILURES as failure:
            if not held:  # not of an image
                raise
            alone = len(held) == 1
            for key, (_, image, _) in list(held.items()):
                fit, error = None, failure
                if not alone:
                    try:
                        ((_, fit),) = segment_stream([(key, image)], 1)
                    except FAILURES as again:
                        error = again
                yield finish(key, fit, error)


def _write_record(segmented: Segmented, results: Results) -> dict:
    """Write the outputs of an image; returns its record."""
    record, image, seconds, fit, error = segmented
    if fit is None:
        return {
            'file': record['file'],
            'name': record['name'],
            'error': f'cannot be segmented: {error}',
        }
    labels = fit.labels.cpu().numpy()
    _write_outputs(image, labels, results.outputs(record['name']))
    height, width = labels.shape
    return record | {
        'size': [width, height],
        'clusters': len(np.unique(labels)),
        'components': int(connected_components(labels).max()) + 1,
        'iterations': fit.iterations,
        'stop_reason': fit.stop_reason,
        'floor': fit.floor,
        'seconds': round(seconds, 3),
        'clusters_by_iteration': list(fit.num_clusters),
    }


def _write_outputs(image: np.ndarray, labels: np.ndarray, paths: dict[str, Path]) -> None:
    """Write the label map, overlay and thumbnail of an image (H, W, 3) with labels (H, W)."""
    kind = np.min_scalar_type(labels.max())
    if labels.shape != image.shape[:2] or labels.min() < 0 or kind.itemsize > 2:
        raise AssertionError(f'unfit labels: {labels.shape}, {labels.min()} to {labels.max()}')
    with whole_file(paths[LABELS]) as temporary:
        Image.fromarray(labels.astype(kind)).save(temporary, 'PNG')
    with whole_file(paths[OVERLAYS]) as temporary:
        overlay = Image.fromarray(draw_overlay(image, labels))
        overlay.thumbnail(MAX_JPEG_SIZE)
        overlay.save(temporary, **JPEG)
    with whole_file(paths[THUMBNAILS]) as temporary:
        thumbnail = Image.fromarray(image)
        thumbnail.thumbnail(THUMBNAIL_SIZE)
        thumbnail.save(temporary, **JPEG)


def _describe_settings(
    config: Config, checkpoint: str | PathLike | None, seed: int
) -> dict[str, object]:
    """Describe what the outputs depend on: by content, since files move and change."""
    content = json.dumps(config._cfg_dict.to_dict(), sort_keys=True, default=repr)
    settings = {
        'version': __version__,
        'config': Path(config.filename or 'given in Python').name,
        'config_sha256': hashlib.sha256(content.encode()).hexdigest(),
        'checkpoint': None,
        'seed': seed,
    }
    if checkpoint is not None:
        settings['checkpoint'] = os.path.basename(checkpoint)
        if os.path.isfile(checkpoint):
            content = Path(checkpoint).read_bytes()
            settings['checkpoint_sha256'] = hashlib.sha256(content).hexdigest()
    return settings

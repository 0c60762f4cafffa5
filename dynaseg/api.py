"""What the package offers: one picture in memory, or files."""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from dynaseg.device import find_device
from dynaseg.io.reading import read_image
from dynaseg.photos.exports import EXPORTS
from dynaseg.photos.finding import find_images
from dynaseg.photos.outputs import OUTPUTS, check_out_dir
from dynaseg.photos.regions import DETAIL, MIN_AREA, RegionChoice, find_hierarchy
from dynaseg.photos.results import Results
from dynaseg.photos.segment import Predictor, RunStoppedError, segment_files
from dynaseg.predictor import Segmentation, check_seed, make_region_predictor
from dynaseg.version import __version__

if TYPE_CHECKING:
    from mmcv import Config

# More than half of a photograph's time goes to steps that run on the CPU anyway, and per-image fits
# are small: several processes do more than one with a GPU.
PHOTOS_DEVICE = 'cpu'
GPU_BATCH = 16


def load_predictor(
    config: 'str | PathLike | Config | None' = None,
    checkpoint: str | PathLike | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
    cfg_options: Sequence[str] = (),
    names: str | PathLike | None = None,
) -> tuple[Predictor, dict[str, object]]:
    """Build what segments images in memory.

    Without a config and a checkpoint it needs nothing of OpenMMLab.

    Args:
        config: path of a config, a name under DynaSeg's ``configs/``, or a loaded config; what
            suits photographs where None.
        checkpoint: file with trained weights; fresh ones, drawn from ``seed``, where None.
        device: such as ``'cpu'`` or ``'cuda:1'``; where None, the GPU if there is one, but without
            a config and a checkpoint the CPU, on which processes segment images side by side.
        seed: seed of the fresh weights, at least 0.
        cfg_options: changes of the config, such as ``'model.test_cfg.regions.num_fits=8'``.
        names: file of names of the checkpoint's clusters, which labels are then made of; see
            :mod:`dynaseg.io.names`.

    Returns:
        The predictor, which segments a list of images, and what its results depend on.

    Raises:
        FileNotFoundError: if there is no config, checkpoint or file of names of that name.
        ImportError: if OpenMMLab is needed and not installed; it says how to install it.
        ValueError: if the config, the checkpoint, the device, the seed or the names are invalid.
    """
    check_seed(seed)
    seed = int(seed)  # NumPy's could not be recorded
    if _is_by_config(config, checkpoint, cfg_options):
        try:
            from dynaseg.mmseg.predictor import build_predictor
        except ImportError as error:
            if (error.name or '').partition('.')[0] == 'dynaseg':
                raise
            raise ImportError(
                f'configs and checkpoints need OpenMMLab, of which {error.name} is missing: see '
                '"Into an existing environment" in docs/install.md of DynaSeg'
            ) from error
        config = config or 'dynaseg/segment.py'
        return build_predictor(
            config, checkpoint, device, seed, cfg_options=cfg_options, names=names
        )
    if names is not None:
        raise ValueError(f'{names}: names are of the clusters of a checkpoint, and none is given')
    predictor = make_region_predictor(find_device(device or PHOTOS_DEVICE), seed)
    return predictor, {'config': 'regions', 'seed': seed}


def segment_image(
    image: np.ndarray | str | PathLike,
    config: 'str | PathLike | Config | None' = None,
    checkpoint: str | PathLike | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
    detail: float | None = None,
    regions: int | None = None,
    min_area: float = MIN_AREA,
    names: str | PathLike | None = None,
) -> Segmentation:
    """Segment one picture without labels, by DynaSeg (Guermazi et al., 2024).

    Args:
        image: RGB, uint8, (H, W, 3), or grey, uint8, (H, W), or an image file, read as
            :func:`dynaseg.io.reading.read_image` says.
        config: see :func:`load_predictor`.
        checkpoint: see :func:`load_predictor`.
        device: see :func:`load_predictor`.
        seed: see :func:`load_predictor`.
        detail: of the regions, 0 (coarse) to 1 (fine); .5 where None. Without a hierarchy, regions
            are the connected parts of clusters, at no detail.
        regions: number of regions, whatever the detail; those of the detail where None.
        min_area: share of the image below which a region is none.
        names: see :func:`load_predictor`.

    Returns:
        The segmentation, with regions as asked for; cuts of its hierarchy, which has none that are
        too small, give others.

    Raises:
        ValueError: if the image is no such array, the choice of regions is invalid, or there is no
            hierarchy for a detail; and as :func:`load_predictor`.
        ImageReadError: if it is a file that cannot be read.

    Examples:
        >>> image = np.zeros((12, 16, 3), np.uint8)
        >>> image[:, 8:] = 255
        >>> segment_image(image, device='cpu', regions=2).regions[0, [0, -1]]
        array([0, 1], dtype=int32)
    """
    choice = RegionChoice(DETAIL if detail is None else detail, regions, min_area)
    image = load_image(image)
    predictor, _ = load_predictor(config, checkpoint, device, seed, names=names)
    _check_detail(detail, predictor)
    segmentation = predictor([image])[0]
    hierarchy = find_hierarchy(segmentation, min_area)
    regions = hierarchy.cut_to(choice.count(hierarchy))
    return replace(segmentation, hierarchy=hierarchy, regions=regions)


def segment_images(
    inputs: str | PathLike | Iterable[str | PathLike],
    out_dir: str | PathLike = 'outputs',
    config: 'str | PathLike | Config | None' = None,
    checkpoint: str | PathLike | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
    overwrite: bool = False,
    detail: float | None = None,
    regions: int | None = None,
    min_area: float = MIN_AREA,
    workers: int | None = None,
    scheduler: str | None = None,
    export: str | Sequence[str] = (),
    cfg_options: Sequence[str] = (),
    names: str | PathLike | None = None,
) -> list[dict]:
    """Segment photographs without labels, by DynaSeg (Guermazi et al., 2024).

    In ``out_dir``, for each image, at its own size (as it is meant to be seen: EXIF orientation is
    applied): ``regions/NAME.png``, its connected regions, from 0; ``labels/NAME.png``, its
    clusters, from 0, which may join parts that do not touch (for both see
    :func:`dynaseg.io.writing.write_label_map`); ``hierarchy/NAME.png``, the strength of every
    border, which holds the regions of every detail (:mod:`dynaseg.photos.hierarchy_file`). To look
    at: ``overlays/NAME.jpg``, the regions coloured and outlined, and ``index.html``, which shows
    all images, and in which regions are chosen and saved; the other folders are its. NAME is the
    file's stem, numbered where files share one. ``results.jsonl`` has one line per image.

    Clusters of a trained network have the same number and colour in every image, and with ``names``
    those of their name; ``index.html`` then begins with a legend.

    Every file is written whole or not at all. An interrupted run goes on where it was when it is
    called again with the same settings; images that are done and have not changed are skipped,
    whichever call they come from. Progress, what was skipped and what was exported are reported on
    standard error.

    Args:
        inputs: files, folders (with their subfolders) and patterns such as ``'photos/*.jpg'``:
            read as :func:`dynaseg.io.reading.read_image` says.
        out_dir: folder for the outputs; it is made.
        config: see :func:`load_predictor`.
        checkpoint: see :func:`load_predictor`.
        device: see :func:`load_predictor`.
        seed: see :func:`load_predictor`.
        overwrite: do these images again, and allow other settings than before. Outputs of other
            images stay.
        detail: see :func:`segment_image`.
        regions: see :func:`segment_image`.
        min_area: see :func:`segment_image`.
        workers: processes of one thread that work side by side on a CPU. None is as many as the
            cores and the memory allow, or none but this one for a few small images, for which the
            start of another takes longer than it saves. A GPU takes batches, in one process.
        scheduler: address of a Dask scheduler, such as ``'tcp://HOST:8786'``, whose workers see the
            files by the same paths; they segment in place of this machine, with the same results.
        export: formats of other tools that the regions are written in as well: ``'coco'``
            (:func:`dynaseg.photos.exports.export_coco`) and ``'geotiff'``
            (:func:`dynaseg.photos.exports.export_geotiff`). COCO's one file holds all images of
            ``out_dir`` that have these settings, whichever call segmented them. Whether they can be
            written is checked before the first image is segmented; an earlier one that is not
            written again though images changed is reported.
        cfg_options: see :func:`load_predictor`.
        names: see :func:`load_predictor`.

    Returns:
        One record per image, in the order of ``inputs``: ``file`` (absolute path), ``name``,
        ``bytes`` and ``modified`` (the file's, in nanoseconds), ``size`` ([width, height] in
        pixels), ``regions`` and the ``detail`` that shows so many (or a few more, where ``regions``
        was given and merges cost the same: no detail tells them apart), ``clusters`` (how many
        there are in the image), of a trained network the ``shares`` of the image that they have, by
        name, and ``examples`` (where each is to be seen: [x, y, radius] in pixels), ``iterations``,
        ``stop_reason`` and ``min_clusters`` (as in :class:`dynaseg.core.Fit`, or 'trained'),
        ``clusters_by_iteration`` (from before the first), ``seconds`` (of segmenting and writing;
        images of a batch share the former). One that was skipped has ``file``, ``name`` and
        ``error`` (why). A record takes about 4 KB of memory; ``results.jsonl`` has them all, too.

    Raises:
        FileNotFoundError: if no image, or no config or checkpoint of that name, is found.
        ValueError: if the config, the checkpoint, the device, the seed, the names, the choice of
            regions or the workers are invalid, if another run is writing into ``out_dir`` or,
            unless ``overwrite``, if it holds results of other settings or another's files.
        OSError: if the outputs cannot be written; ``segmented`` says how many images were before.
        RuntimeError: for an error of the program; what is done stays done.

    Examples:
        >>> import tempfile
        >>> from PIL import Image
        >>> from sklearn.datasets import load_sample_image
        >>> photo = Image.fromarray(load_sample_image('flower.jpg')).resize((32, 24))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     photo.save(f'{folder}/flower.png')
        ...     records = segment_images(f'{folder}/flower.png', f'{folder}/out', device='cpu')
        >>> records[0]['name'], records[0]['size']
        ('flower', [32, 24])
    """
    check_out_dir(out_dir)
    if workers is not None and workers < 1:
        raise ValueError(f'workers must be at least 1, got {workers}')
    if scheduler is not None and workers is not None:
        raise ValueError('workers are processes of this machine: a scheduler has its own')
    export = [export] if isinstance(export, str) else list(export)
    unknown = [name for name in export if name not in EXPORTS]
    if unknown:
        raise ValueError(f'export must be among {[*EXPORTS]}, got {unknown[0]!r}')
    choice = RegionChoice(DETAIL if detail is None else detail, regions, min_area)
    if device is None and not _is_by_config(config, checkpoint, cfg_options):
        device = PHOTOS_DEVICE
    device = find_device(device)
    on_gpu = device.type != 'cpu'
    if on_gpu and workers not in (None, 1):
        raise ValueError(f'workers are processes on a CPU, and {device} is used: give device cpu')
    others = Counter()
    files = find_images(
        inputs,
        exclude=[Path(out_dir, folder) for folder in OUTPUTS],
        on_other=lambda path: others.update([Path(path).suffix.lower() or 'without a suffix']),
    )
    if others:
        kinds = ', '.join(f'{count} {suffix}' for suffix, count in sorted(others.items()))
        print(f'ignored, not named as images: {kinds}', file=sys.stderr)
    out_dir = Path(out_dir)
    for name in export:
        EXPORTS[name].check(out_dir, files)
    predictor, settings = load_predictor(config, checkpoint, device, seed, cfg_options, names)
    _check_detail(detail, predictor)
    settings = {'version': __version__, **settings, **asdict(choice)}
    if not predictor.gives_hierarchies:
        settings['detail'] = None
    with Results(out_dir, settings, overwrite) as results:
        records = segment_files(
            files,
            results,
            predictor,
            choice,
            batch_size=GPU_BATCH if on_gpu else 1,
            workers=1 if on_gpu else workers,
            scheduler=scheduler,
        )
        for name, exporter in EXPORTS.items():
            if name not in export:
                if results.has_changed and exporter.is_own(out_dir / exporter.place):
                    path = out_dir / exporter.place
                    print(f'{path} is of before: --export {name} writes it again', file=sys.stderr)
                continue
            exported = results.list_current() if exporter.is_joint else records
            try:
                path = exporter.write(out_dir, exported, settings.get('label_names', ()))
            except OSError as error:
                segmented = sum('error' not in record for record in records)
                raise RunStoppedError(error, segmented) from error
            print(f'regions as {name}: {path}', file=sys.stderr)
    return records


def _check_detail(detail: float | None, predictor: Predictor) -> None:
    if detail is not None and not predictor.gives_hierarchies:
        raise ValueError(
            'detail is for hierarchies of regions: with this config regions are the connected '
            'parts of clusters; leave it out, or for a trained network set '
            'model.test_cfg.regions.preset=plain (--cfg-options)'
        )


def _is_by_config(
    config: 'str | PathLike | Config | None',
    checkpoint: str | PathLike | None,
    cfg_options: Sequence[str],
) -> bool:
    return config is not None or checkpoint is not None or bool(cfg_options)


def load_image(image: np.ndarray | str | PathLike) -> np.ndarray:
    """Read an image, or check one in memory; RGB, uint8, (H, W, 3)."""
    if isinstance(image, (str, PathLike)):
        image = read_image(image)
    elif not isinstance(image, np.ndarray):
        raise ValueError(f'image must be an array or a path, got {type(image).__name__}')
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(
            f'image must be uint8, (H, W, 3) or (H, W), got {image.dtype}, {image.shape}'
        )
    return np.ascontiguousarray(image)

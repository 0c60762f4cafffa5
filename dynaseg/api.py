"""What the package offers: one picture in memory, or files."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from dynaseg.core import DynaSegLoss, Fitter, LabelRefinement, ResponseNetwork
from dynaseg.device import find_device
from dynaseg.io.reading import read_image
from dynaseg.photos.finding import find_images
from dynaseg.photos.results import OUTPUTS, Results
from dynaseg.photos.segment import Predictor, segment_files
from dynaseg.predictor import FittedPredictor, Segmentation
from dynaseg.version import __version__

if TYPE_CHECKING:
    from mmcv import Config

GPU_BATCH = 16

# What suits photographs: docs/method.md has how each was chosen.
DEFAULT_FIT = {
    'iterations': 15,
    'lr': 0.2,
    'momentum': 0.9,
    'tol': 0.005,
    'check_interval': 5,
    'fit_pixels': 10000,
    'predict_scale': 2.0,
    'predict_pixels': 1000000,
    'bf16': True,
    'min_region': 2e-5,
}
DEFAULT_REFINEMENT = {'radius': 4, 'eps': 0.01, 'rounds': 2}


def load_predictor(
    config: 'str | PathLike | Config | None' = None,
    checkpoint: str | PathLike | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
) -> tuple[Predictor, dict[str, object]]:
    """Build what segments images in memory.

    Without a config and a checkpoint it needs nothing of OpenMMLab.

    Args:
        config: path of a config, a name under DynaSeg's ``configs/``, or a loaded config; what
            suits photographs where None.
        checkpoint: file with trained weights; fresh ones, drawn from ``seed``, where None.
        device: such as ``'cpu'`` or ``'cuda:1'``; the GPU where None and there is one.
        seed: seed of the fresh weights, at least 0.

    Returns:
        The predictor, which segments a list of images, and what its results depend on.

    Raises:
        FileNotFoundError: if there is no config or checkpoint of that name.
        ImportError: if OpenMMLab is needed and not installed; it says how to install it.
        ValueError: if the config, the checkpoint, the device or the seed is unfit.
    """
    if config is not None or checkpoint is not None:
        try:
            from dynaseg.mmseg.predictor import build_predictor
        except ImportError as error:
            raise ImportError(
                f'configs and checkpoints need OpenMMLab, of which {error.name} is missing: see '
                '"Installing" in the README of DynaSeg for pip install "dynaseg[mmseg]"'
            ) from error
        return build_predictor(config or 'dynaseg/segment.py', checkpoint, device, seed)
    if seed < 0:
        raise ValueError(f'seed must be at least 0, got {seed}')
    device = find_device(device)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = ResponseNetwork()
    fitter = Fitter(
        DynaSegLoss('fsf', reduction='none'),
        refinement=LabelRefinement(**DEFAULT_REFINEMENT),
        **DEFAULT_FIT,
    )
    predictor = FittedPredictor(network.to(device), fitter, 'silhouette')
    return predictor, {'config': 'the default', 'seed': seed}


def segment_image(
    image: np.ndarray | str | PathLike,
    config: 'str | PathLike | Config | None' = None,
    checkpoint: str | PathLike | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
) -> Segmentation:
    """Segment one picture without labels, by DynaSeg (Guermazi et al., 2024).

    Args:
        image: RGB, uint8, (H, W, 3), or grey, uint8, (H, W), or an image file, read as
            :func:`dynaseg.io.reading.read_image` says.
        config: as for :func:`load_predictor`, like the others.
        checkpoint: likewise.
        device: likewise.
        seed: likewise.

    Returns:
        The segmentation.

    Raises:
        ValueError: if the image is no such array; and as :func:`load_predictor`.
        ImageReadError: if it is a file that cannot be read.

    Example:
        >>> segment_image(np.zeros((12, 16, 3), np.uint8), device='cpu').labels.shape
        (12, 16)
    """
    image = image if isinstance(image, np.ndarray) else read_image(image)
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(
            f'image must be uint8, (H, W, 3) or (H, W), got {image.dtype}, {image.shape}'
        )
    predictor, _ = load_predictor(config, checkpoint, device, seed)
    return predictor([np.ascontiguousarray(image)])[0]


def segment_images(
    inputs: str | PathLike | Iterable[str | PathLike],
    out_dir: str | PathLike = 'outputs',
    config: 'str | PathLike | Config | None' = None,
    checkpoint: str | PathLike | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
    overwrite: bool = False,
    workers: int | None = None,
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
            JPEG, PNG, TIFF, WebP and BMP, read as :func:`dynaseg.io.reading.read_image` says.
        out_dir: folder for the outputs; it is made.
        config: as for :func:`load_predictor`, like the next three.
        checkpoint: likewise.
        device: likewise.
        seed: likewise.
        overwrite: do every image again, and allow other settings than before.
        workers: processes of one thread that work side by side on a CPU; as many as the cores, the
            memory and the images allow where None.

    Returns:
        A record an image, in the order of ``inputs``: ``file`` (absolute path), ``name``, ``bytes``
        and ``modified`` (the file's, in nanoseconds), ``size`` ([width, height] in pixels),
        ``clusters``, ``components`` (connected regions of one cluster, 4 neighbours),
        ``iterations``, ``stop_reason`` and ``min_clusters`` (as in :class:`dynaseg.core.Fit`, or
        'trained'), ``seconds`` (of segmenting alone; images of a batch share them),
        ``clusters_by_iteration`` (from before the first). One that was skipped has ``file``,
        ``name`` and ``error`` (why).

    Raises:
        FileNotFoundError: if no image, or no config or checkpoint of that name, is found.
        ValueError: if the config, the checkpoint, the device, the seed or the workers are unfit,
            or, unless ``overwrite``, ``out_dir`` holds results of other settings or another's
            files.
        OSError: if the outputs cannot be written.

    Example:
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
    if workers is not None and workers < 1:
        raise ValueError(f'workers must be at least 1, got {workers}')
    device = find_device(device)
    files = find_images(inputs, exclude=[Path(out_dir, folder) for folder in OUTPUTS])
    predictor, settings = load_predictor(config, checkpoint, device, seed)
    results = Results(Path(out_dir), {'version': __version__, **settings}, overwrite)
    on_gpu = device.type != 'cpu'
    return segment_files(
        files, results, predictor, GPU_BATCH if on_gpu else 1, 1 if on_gpu else workers
    )

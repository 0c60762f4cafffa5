"""Cut-outs of what a person marked on an image."""

from pathlib import Path

import numpy as np
from PIL import Image

from dynaseg.io.files import write_file
from dynaseg.io.writing import encode_png
from dynaseg.photos.marks import SUBJECT


def write_cut_out(out_dir: Path, name: str, image: np.ndarray, labels: np.ndarray) -> list[Path]:
    """Write the subject as a picture with alpha, and as a mask.

    Args:
        out_dir: folder, which is made: ``cutouts/NAME.png`` and ``masks/NAME.png``, as large as the
            image.
        name: of the files.
        image: RGB, uint8, (H, W, 3).
        labels: 0 for the subject, others for the rest, (H, W).

    Returns:
        The two files; each is written whole or not at all.
    """
    alpha = np.where(labels == SUBJECT, 255, 0).astype(np.uint8)
    paths = [out_dir / folder / f'{name}.png' for folder in ('cutouts', 'masks')]
    for path, pixels in zip(paths, (np.dstack([image, alpha]), alpha), strict=True):
        write_file(path, encode_png(Image.fromarray(pixels)))
    return paths

"""Cut-outs of what a person marked on an image."""

import json
import os
from pathlib import Path

import numpy as np
from PIL import Image

from dynaseg.io.files import append_lines, locked, write_file
from dynaseg.io.writing import encode_png
from dynaseg.photos.finding import name_outputs
from dynaseg.photos.marks import SUBJECT
from dynaseg.photos.outputs import CUT_OUTS, CUT_OUTS_NAME, read_cut_outs


def cut_out_paths(out_dir: Path, name: str) -> list[Path]:
    """Get the paths of a cut-out, ``cutouts/NAME.png``, and of its mask, ``masks/NAME.png``."""
    return [out_dir / folder / f'{name}.png' for folder in CUT_OUTS]


def name_cut_out(out_dir: Path, file: Path) -> str:
    """Name the cut-out of a picture, so that it takes no other file's place, and note the name.

    Args:
        out_dir: folder of the outputs, which is made; the hidden ``.cutouts.jsonl`` has a line a
            picture.
        file: the picture.

    Returns:
        The name of its earlier cut-out or, for a first one, the picture's stem, numbered where
        there are other files of that name.
    """
    file = Path(os.path.abspath(file))
    out_dir.mkdir(parents=True, exist_ok=True)
    notes = out_dir / CUT_OUTS_NAME
    with locked(notes):
        known = read_cut_outs(out_dir)
        name = name_outputs(
            [file], known, lambda name: any(path.exists() for path in cut_out_paths(out_dir, name))
        )[file]
        if file not in known:
            append_lines(notes, [json.dumps({'file': str(file), 'name': name})])
    return name


def write_cut_out(out_dir: Path, name: str, image: np.ndarray, labels: np.ndarray) -> list[Path]:
    """Write the subject as a picture with alpha, and as a mask.

    Args:
        out_dir: folder, which is made: see :func:`cut_out_paths`. Both are as large as the image.
        name: of the files.
        image: RGB, uint8, (H, W, 3).
        labels: 0 for the subject, others for the rest, (H, W).

    Returns:
        The two files; each is written whole or not at all.
    """
    alpha = np.where(labels == SUBJECT, 255, 0).astype(np.uint8)
    paths = cut_out_paths(out_dir, name)
    for path, pixels in zip(paths, (np.dstack([image, alpha]), alpha), strict=True):
        write_file(path, encode_png(Image.fromarray(pixels)))
    return paths

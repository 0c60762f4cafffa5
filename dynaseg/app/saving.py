"""Saving pictures."""

import json
import shutil
import time
from pathlib import Path

import numpy as np
from PIL import Image

from dynaseg.app.picture import Picture
from dynaseg.io.files import write_file
from dynaseg.io.writing import encode_label_map, encode_png
from dynaseg.photos.exports import describe_mask, describe_regions, make_coco


def save_picture(folder: Path, picture: Picture, detail: float) -> list[Path]:
    """Save the regions of a picture at a detail, and what is selected.

    Args:
        folder: folder of the files.
        picture: the picture.
        detail: of the regions.

    Returns:
        The files: ``NAME-regions.png``, numbered, and ``NAME-regions.json``, in COCO's format with
        run-length encodings; if something is selected, ``NAME-mask.png``, ``NAME-cutout.png``
        with alpha, and ``NAME-mask.json`` and ``NAME-polygons.json``, in COCO's format with a
        run-length encoding and with polygons.
    """
    name, size = picture.name, picture.image.shape[:2]
    regions = picture.hierarchy.regions(detail)

    def describe(annotations: list[dict]) -> bytes:
        return json.dumps(make_coco(picture.file, size, annotations)).encode()

    contents = {}
    if picture.selected.any():
        alpha = np.where(picture.selected, 255, 0).astype(np.uint8)
        contents = {
            'cutout.png': encode_png(Image.fromarray(np.dstack([picture.image, alpha]))),
            'mask.png': encode_png(Image.fromarray(alpha)),
            'mask.json': describe(list(describe_regions(picture.selected - 1))),
            'polygons.json': describe([describe_mask(picture.selected)]),
        }
    contents |= {
        'regions.png': encode_label_map(regions),
        'regions.json': describe(list(describe_regions(regions))),
    }
    paths = [folder / f'{name}-{suffix}' for suffix in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        write_file(path, content)
    return paths


def remove_older(folder: Path, seconds: float) -> None:
    """Remove subfolders older than ``seconds`` from a folder, which is created if missing."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if time.time() - path.stat().st_mtime > seconds:
            shutil.rmtree(path, ignore_errors=True)

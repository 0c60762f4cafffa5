#!/usr/bin/env python
"""Make the pictures of README and docs from photographs that come with libraries."""

import argparse
import sys
from pathlib import Path

import numpy as np
from method_figure import draw_method
from PIL import Image
from skimage import data
from sklearn.datasets import load_sample_image

from dynaseg import segment_image
from dynaseg.photos.drawing import draw_overlay

HEIGHT, GAP = 240, 8
DETAILS = (0.3, 0.5, 0.8)
PHOTOGRAPHS = {
    'photographs': ('china.jpg', 'flower.jpg', 'chelsea', 'coffee'),
    'failures': ('astronaut', 'gravel', 'retina', 'motorcycle'),
}
GALLERY = (
    *('chelsea', 'flower.jpg', 'coffee', 'rocket', 'china.jpg', 'coins', 'camera', 'moon'),
    *('immunohistochemistry', 'brick', 'page', 'clock', 'hubble_deep_field', 'cell'),
    *('microaneurysms', 'astronaut', 'grass', 'gravel', 'retina', 'motorcycle'),
)
GALLERY_WIDTH = 900


def load(name: str) -> np.ndarray:
    """Load a photograph from scikit-learn or scikit-image; RGB, uint8, (H, W, 3)."""
    if name.endswith('.jpg'):
        return load_sample_image(name)
    if name == 'motorcycle':
        return data.stereo_motorcycle()[0]
    image = getattr(data, name)()
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def make_row(image: np.ndarray, seed: int) -> np.ndarray:
    """Set a photograph beside its regions, from coarse to fine."""
    width = round(HEIGHT * image.shape[1] / image.shape[0])
    hierarchy = segment_image(image, device='cpu', seed=seed).hierarchy
    pictures = [image] + [draw_overlay(image, hierarchy.regions(detail)) for detail in DETAILS]
    gap = np.full((HEIGHT, GAP, 3), 255, np.uint8)
    row = []
    for picture in pictures:
        small = Image.fromarray(picture).resize((width, HEIGHT), Image.Resampling.LANCZOS)
        row += [np.asarray(small), gap]
    return np.hstack(row[:-1])


def make_figure(names: tuple[str, ...], out: Path, seed: int) -> None:
    """Stack the rows of some photographs, scaled to one width.

    Args:
        names: of the photographs.
        out: the JPEG to write.
        seed: of the networks' weights.
    """
    rows = [Image.fromarray(make_row(load(name), seed)) for name in names]
    width = min(row.width for row in rows)
    gap = np.full((GAP, width, 3), 255, np.uint8)
    parts = []
    for row in rows:
        size = width, round(row.height * width / row.width)
        parts += [np.asarray(row.resize(size, Image.Resampling.LANCZOS)), gap]
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.vstack(parts[:-1])).save(out, quality=88)


def make_gallery(out: Path, seed: int) -> None:
    """Draw each photograph of the gallery beside its regions, ``NAME.jpg``."""
    out.mkdir(parents=True, exist_ok=True)
    for name in GALLERY:
        row = Image.fromarray(make_row(load(name), seed))
        size = GALLERY_WIDTH, round(row.height * GALLERY_WIDTH / row.width)
        row.resize(size, Image.Resampling.LANCZOS).save(
            out / f'{Path(name).stem}.jpg', quality=85, optimize=True
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, default=Path('assets'))
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args(arguments)
    for figure, names in PHOTOGRAPHS.items():
        make_figure(names, options.out / f'{figure}.jpg', options.seed)
    make_gallery(options.out / 'gallery', options.seed)
    draw_method(options.out / 'method.png')
    return 0


if __name__ == '__main__':
    sys.exit(main())

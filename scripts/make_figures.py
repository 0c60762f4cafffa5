#!/usr/bin/env python
"""Make the README's pictures: scikit-learn's two photographs and the regions found in them."""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from dynaseg import segment_images

WIDTH, GAP = 480, 8


def make_figure(out: Path, seed: int) -> None:
    """Segment the photographs and set each beside its overlay, one below the other.

    Args:
        out: the JPEG to write.
        seed: seed of the weights.
    """
    photographs = load_sample_images()
    with tempfile.TemporaryDirectory() as folder:
        inputs = []
        for name, image in zip(photographs.filenames, photographs.images, strict=True):
            path = Path(folder) / Path(name).with_suffix('.png').name
            Image.fromarray(image).save(path)
            inputs.append(str(path))
        segment_images(inputs, out_dir=Path(folder) / 'out', seed=seed)
        rows = []
        for path in map(Path, inputs):
            overlay = Path(folder) / 'out' / 'overlays' / f'{path.stem}.jpg'
            pair = []
            for source in (path, overlay):
                with Image.open(source) as image:
                    size = (WIDTH, round(WIDTH * image.height / image.width))
                    pair.append(np.asarray(image.convert('RGB').resize(size, Image.LANCZOS)))
            gap = np.full((len(pair[0]), GAP, 3), 255, np.uint8)
            rows += [np.hstack([pair[0], gap, pair[1]])]
    gap = np.full((GAP, rows[0].shape[1], 3), 255, np.uint8)
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.vstack([rows[0], gap, rows[1]])).save(out, quality=88)


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, default=Path('assets/photographs.jpg'))
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args(arguments)
    make_figure(options.out, options.seed)
    return 0


if __name__ == '__main__':
    sys.exit(main())

"""Show the regions of BSDS500 images beside those of other methods.

One row per image: the photograph, the clusters of one fit (``fsf_plain-cnn_fit-fast_folder.py``),
the graph cut of Felzenszwalb and Huttenlocher, and DynaSeg's regions at detail .5.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.segmentation import felzenszwalb

from dynaseg.api import load_predictor
from dynaseg.core.regions import remove_small_regions
from dynaseg.io.files import take_evenly
from dynaseg.io.reading import read_image
from dynaseg.photos.drawing import draw_overlay
from dynaseg.photos.regions import MIN_AREA

HEIGHT, GAP, ROWS = 200, 4, 10  # rows per sheet


def make_sheets(folder: Path, out: Path, max_images: int) -> None:
    """Write the sheets, ``sheet-NN.png``.

    Args:
        folder: folder of the images.
        out: folder for the sheets, created if missing.
        max_images: the maximum number of images, evenly spaced.
    """
    one_fit, _ = load_predictor('fsf_plain-cnn_fit-fast_folder.py', device='cpu')
    regions, _ = load_predictor(device='cpu')
    files = take_evenly(sorted(folder.glob('*.jpg')), max_images)
    out.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(files), ROWS):
        rows = []
        for file in files[first : first + ROWS]:
            image = read_image(file)
            hierarchy = regions([image])[0].hierarchy
            hierarchy = remove_small_regions(hierarchy, MIN_AREA * image.shape[0] * image.shape[1])
            labels = (
                one_fit([image])[0].labels,
                felzenszwalb(image, scale=300, sigma=0.8, min_size=100),
                hierarchy.regions(),
            )
            rows.append(_join([image, *(draw_overlay(image, one) for one in labels)], file.stem))
        width = max(row.shape[1] for row in rows)
        rows = [np.pad(row, ((0, GAP), (0, width - row.shape[1]), (0, 0))) for row in rows]
        Image.fromarray(np.vstack(rows)).save(out / f'sheet-{first // ROWS + 1:02d}.png')


def _join(pictures: list[np.ndarray], name: str) -> np.ndarray:
    print(name, file=sys.stderr)
    width = round(HEIGHT * pictures[0].shape[1] / pictures[0].shape[0])
    small = [Image.fromarray(one).resize((width, HEIGHT)) for one in pictures]
    return np.hstack([np.pad(np.asarray(one), ((0, 0), (0, GAP), (0, 0))) for one in small])


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data-root', type=Path, default=Path('data/bsds500'))
    parser.add_argument('--split', default='val')
    parser.add_argument('--max-images', type=int, default=40)
    parser.add_argument('--out', type=Path, default=Path('work_dirs/region_pictures'))
    options = parser.parse_args()
    make_sheets(options.data_root / 'images' / options.split, options.out, options.max_images)


if __name__ == '__main__':
    main()

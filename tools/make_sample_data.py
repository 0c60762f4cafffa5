#!/usr/bin/env python
"""Draw a small data set of landscapes in the layout of COCO-Stuff, for demonstrations and tests."""

import argparse
import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, zoom

from dynaseg.io.files import write_file
from dynaseg.io.writing import encode_png

SPLIT_FILE = 'Coco164kFull_Stuff_Coarse_7.txt'  # CocoStuff27Dataset's; to import that takes seconds

# Raw COCO-Stuff ids, base colours (RGB) and the texture that is drawn over each.
SKY, GRASS, SEA, SAND, ROAD, TREE, BUILDING, COW, CAR = 156, 123, 154, 153, 148, 168, 95, 20, 2
MATERIALS = {
    SKY: ((140, 185, 235), 'clouds'),
    GRASS: ((95, 155, 60), 'blades'),
    SEA: ((35, 90, 140), 'waves'),
    SAND: ((215, 190, 140), 'grains'),
    ROAD: ((110, 110, 112), 'grains'),
    TREE: ((40, 85, 35), 'leaves'),
    BUILDING: ((165, 85, 65), 'bricks'),
    COW: ((235, 225, 215), 'patches'),
    CAR: ((190, 30, 40), 'plain'),
}
GROUNDS = (GRASS, SEA, SAND, ROAD)
UNLABELLED = 255
# How far a material's colour strays from its base in an image: light and season, not noise.
LIGHT, TINT = 0.12, 8.0


def noise(rng: np.random.Generator, shape: tuple[int, int], sigma: float | tuple) -> np.ndarray:
    """Draw smooth noise of zero mean and unit deviation."""
    values = gaussian_filter(rng.standard_normal(shape), sigma, mode='wrap')
    return (values - values.mean()) / values.std()


def texture(rng: np.random.Generator, kind: str, shape: tuple[int, int]) -> np.ndarray:
    """Draw a texture, in grey levels around zero, (H, W)."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    if kind == 'clouds':
        return 14 * np.clip(noise(rng, shape, (6, 14)), 0, None)
    if kind == 'blades':
        return 18 * noise(rng, shape, (2.0, 0.5))
    if kind == 'waves':
        phase = rows / 2.2 + 1.5 * noise(rng, shape, (2, 9))
        return 16 * np.sin(phase)
    if kind == 'grains':
        return 11 * noise(rng, shape, 0.6)
    if kind == 'leaves':
        return 22 * noise(rng, shape, 1.3)
    if kind == 'bricks':
        course = rows // 4
        mortar = (rows % 4 == 0) | ((columns + 4 * (course % 2)) % 8 == 0)
        return np.where(mortar, 45.0, 0.0) + 6 * noise(rng, shape, 0.8)
    if kind == 'patches':
        return np.where(noise(rng, shape, 3.5) > 0.5, -150.0, 0.0)
    return 5 * noise(rng, shape, 2)


def draw_labels(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Draw a scene's ids, uint8, (H, W): sky, one or two grounds, and what stands on them."""
    height, width = shape
    rows, columns = np.mgrid[:height, :width]
    ids = np.full(shape, SKY, dtype=np.uint8)

    def wavy(level: float, amplitude: float) -> np.ndarray:
        bends = zoom(rng.standard_normal(8), width / 8, order=3, grid_mode=True, mode='nearest')
        return level * height + amplitude * height * bends[:width]

    far, near = rng.choice(GROUNDS, size=2, replace=False)
    horizon = rng.uniform(0.35, 0.5)
    ids[rows >= wavy(horizon, 0.02)] = far
    if rng.random() < 0.7:
        ids[rows >= wavy(rng.uniform(0.68, 0.8), 0.03)] = near

    for _ in range(rng.integers(1, 4)):
        bottom = int((horizon + rng.uniform(0.02, 0.12)) * height)
        left = int(rng.uniform(-0.1, 0.85) * width)
        if rng.random() < 0.5:
            tall, wide = (int(rng.uniform(*span) * height) for span in ((0.2, 0.42), (0.2, 0.5)))
            ids[max(bottom - tall, 0) : bottom, max(left, 0) : max(left + wide, 0)] = BUILDING
        else:
            radius = rng.uniform(0.12, 0.24) * height
            crown = bottom - radius
            wobble = 1 + 0.15 * noise(rng, shape, 5)
            ids[((rows - crown) ** 2 + (columns - left) ** 2) < (radius * wobble) ** 2] = TREE
    for _ in range(rng.integers(0, 3)):
        middle = rng.uniform(horizon + 0.2, 0.9) * height
        centre = rng.uniform(0.1, 0.9) * width
        tall, wide = rng.uniform(0.07, 0.12) * height, rng.uniform(0.1, 0.17) * width
        if rng.random() < 0.5:
            inside = ((rows - middle) / tall) ** 2 + ((columns - centre) / wide) ** 2 < 1
            ids[inside] = COW
        else:
            ids[(abs(rows - middle) < 0.8 * tall) & (abs(columns - centre) < wide)] = CAR
    return ids


def draw_image(rng: np.random.Generator, ids: np.ndarray) -> np.ndarray:
    """Paint a scene's ids, uint8, (H, W, 3)."""
    image = np.zeros((*ids.shape, 3))
    for material, (colour, kind) in MATERIALS.items():
        inside = ids == material
        if not inside.any():
            continue
        tint = np.array(colour) * rng.normal(1, LIGHT) + rng.normal(0, TINT, 3)
        painted = tint + texture(rng, kind, ids.shape)[..., None]
        image[inside] = painted[inside]
    image += rng.normal(0, 4, image.shape)
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


def unlabel_edges(ids: np.ndarray) -> np.ndarray:
    """Leave a pixel on each side of the vertical edges unlabelled, as annotators do."""
    labelled = ids.copy()
    edge = ids[:, 1:] != ids[:, :-1]
    labelled[:, 1:][edge] = UNLABELLED
    labelled[:, :-1][edge] = UNLABELLED
    return labelled


def make_sample_data(
    root: Path, num_train: int, num_val: int, size: tuple[int, int], seed: int
) -> None:
    """Write the data set.

    Args:
        root: the data root of the layout; files of the same names are replaced.
        num_train: images in train2017.
        num_val: images in val2017.
        size: width and height in pixels.
        seed: the same seed gives the same pixels.
    """
    rng = np.random.default_rng(seed)
    first = 1
    for subset, count in (('train2017', num_train), ('val2017', num_val)):
        images, masks = root / 'coco' / subset, root / 'coco' / 'annotations' / subset
        curated = root / 'curated' / subset
        names = [f'{number:012d}' for number in range(first, first + count)]
        for name in names:
            ids = draw_labels(rng, size[::-1])
            photo, mask = draw_image(rng, ids), unlabel_edges(ids)
            # In memory first: Pillow's writer of JPEG files passes over a disk that is full.
            buffer = io.BytesIO()
            Image.fromarray(photo).save(buffer, 'JPEG', quality=95)
            write_file(images / f'{name}.jpeg', buffer.getvalue())
            write_file(masks / f'{name}.png', encode_png(Image.fromarray(mask)))
        write_file(curated / SPLIT_FILE, '\n'.join(names) + '\n')
        first += count


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, default=Path('data/sample'), help='data root to write')
    parser.add_argument('--train', type=int, default=64, help='training images')
    parser.add_argument('--val', type=int, default=16, help='validation images')
    parser.add_argument('--size', type=int, nargs=2, default=(160, 120), metavar=('W', 'H'))
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args(arguments)
    if min(options.train, options.val) < 1 or min(options.size) < 32:
        parser.error('--train and --val must be at least 1, and --size at least 32 32')
    if options.seed < 0:
        parser.error(f'--seed must be at least 0, got {options.seed}')
    if options.out.exists() and not options.out.is_dir():
        parser.error(f'--out must be a folder, and {options.out} is a file')
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    options = parse_arguments(arguments)
    numbers = options.train, options.val
    try:
        make_sample_data(options.out, *numbers, tuple(options.size), options.seed)
    except OSError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print(f'{options.train} training and {options.val} validation images are in {options.out}')
    return 0


if __name__ == '__main__':
    sys.exit(main())

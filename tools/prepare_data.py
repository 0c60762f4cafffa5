#!/usr/bin/env python
"""Check a download of Cityscapes, or write Potsdam's images from IIC's files and check them."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import loadmat
from tqdm import tqdm

from dynaseg.io.files import write_file
from dynaseg.io.writing import encode_png
from dynaseg.mmseg.datasets import Cityscapes27Dataset, Potsdam3Dataset
from dynaseg.mmseg.datasets.potsdam import SPLIT_FILES, read_ids

# Images of the subsets, and whether they have masks.
COUNTS = {
    'cityscapes': {'train': (2975, True), 'val': (500, True)},
    'potsdam': {'unlabelled_train': (3150, False), 'train': (4545, True), 'val': (855, True)},
}
TYPES = {'cityscapes': Cityscapes27Dataset, 'potsdam': Potsdam3Dataset}


def write_potsdam(root: Path) -> None:
    """Write ``images/ID.png`` and ``masks/ID.png`` from ``imgs/ID.mat`` and ``gt/ID.mat``.

    Existing images are left unchanged. Infrared, the fourth channel, is left out.

    Args:
        root: folder of the lists of images.

    Raises:
        FileNotFoundError: if a list or an image is missing.
        ValueError: if a file is invalid; the message names it.
    """
    lists = dict.fromkeys(name for names in SPLIT_FILES.values() for name in names)
    for name in tqdm(read_ids([str(root / one) for one in lists]), unit='image'):
        image = root / f'images/{name}.png'
        if not image.exists():
            path = root / f'imgs/{name}.mat'
            pixels = read_array(path, 'img', 3)
            if pixels.shape[2] < 3:
                raise ValueError(f"{path}: expected 'img' of 3 channels or more")
            write_file(image, encode_png(Image.fromarray(pixels[..., :3])))
        path = root / f'gt/{name}.mat'
        if path.exists() and not (root / f'masks/{name}.png').exists():
            mask = Image.fromarray(read_array(path, 'gt', 2))
            with Image.open(image) as opened:
                size = opened.size
            if mask.size != size:
                raise ValueError(
                    f"{path}: expected 'gt' of the image's size {size}, got {mask.size}"
                )
            write_file(root / f'masks/{name}.png', encode_png(mask))


def read_array(path: Path, key: str, dimensions: int) -> np.ndarray:
    """Read an array of whole values from 0 to 255 from a ``.mat`` file; uint8."""
    try:
        values = np.asarray(loadmat(str(path), variable_names=[key])[key])  # a Path hides why
    except FileNotFoundError as error:
        raise FileNotFoundError(f'no file {path}; see data/README.md') from error
    except Exception as error:  # from a parser that meets arbitrary bytes
        raise ValueError(f'{path}: not a .mat file with {key!r} ({error!r})') from error
    if values.ndim != dimensions or not values.size or values.dtype.kind not in 'uif':
        raise ValueError(
            f'{path}: expected {key!r} of numbers in {dimensions} dimensions, got {values.dtype} '
            f'of shape {values.shape}'
        )
    if not np.isfinite(values).all() or (values != np.rint(values)).any():
        raise ValueError(f'{path}: expected {key!r} of whole numbers from 0 to 255')
    if values.min() < 0 or values.max() > 255:
        raise ValueError(
            f'{path}: expected {key!r} of values 0 to 255, got {values.min()} to {values.max()}'
        )
    return np.ascontiguousarray(values.astype(np.uint8))


def check(name: str, root: Path, subset: str, any_number: bool, masks: bool) -> Iterator[str]:
    """Find what is wrong with a subset.

    Args:
        name: name of the data set.
        root: its folder.
        subset: its name.
        any_number: whether it may have any number of images.
        masks: whether every mask is opened.

    Yields:
        One sentence per problem.
    """
    count, has_masks = COUNTS[name][subset]
    try:
        dataset = TYPES[name]([], subset, str(root), test_mode=has_masks)
    except (FileNotFoundError, ValueError) as error:
        yield str(error)
        return
    if len(dataset) != count and not any_number:
        yield f'{root} has {len(dataset)} images of this subset: expected {count}'
    if masks and has_masks:
        for index in tqdm(range(len(dataset)), unit='mask'):
            try:
                dataset.get_gt_seg_map_by_idx(index)
            except ValueError as error:
                yield str(error)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('name', choices=tuple(COUNTS))
    parser.add_argument('--data-root', type=Path, help='its folder (data/NAME)')
    parser.add_argument(
        '--any-number', action='store_true', help='also accept parts of the data set'
    )
    parser.add_argument('--skip-masks', action='store_true', help="do not check the masks' ids")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status is 1 if something is wrong."""
    options = parse_arguments(arguments)
    root = options.data_root or Path('data', options.name)
    if options.name == 'potsdam':
        try:
            write_potsdam(root)
        except (OSError, ValueError) as error:
            print(f'error: {error}', file=sys.stderr)
            return 1
    failed = False
    for subset in COUNTS[options.name]:
        problems = list(
            check(options.name, root, subset, options.any_number, not options.skip_masks)
        )
        failed |= bool(problems)
        for problem in problems:
            print(f'{subset}: {problem}', file=sys.stderr)
        if not problems:
            print(f'{subset}: complete')
    return int(failed)


if __name__ == '__main__':
    sys.exit(main())

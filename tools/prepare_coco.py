#!/usr/bin/env python
"""Check a download of COCO-Stuff: the layout, the split files and the masks' ids.

With --partial, some of the listed images are enough: those present are listed in a split file of
their own, for data.train.split_file and data.test.split_file.
"""

import argparse
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm.contrib.concurrent import process_map

from dynaseg.io.files import write_file
from dynaseg.mmseg.datasets.coco_stuff import (
    IMAGE_SUFFIXES,
    SPLIT_FILE,
    find_layout,
    list_folder,
    read_split,
    require,
)
from dynaseg.mmseg.datasets.pipelines.coco_stuff import coco_stuff27_table
from dynaseg.mmseg.datasets.pipelines.loading import read_mask
from dynaseg.mmseg.datasets.pipelines.table import UNKNOWN

# Lines and sha256 of PiCIE's split files.
SPLITS = {
    'train2017': (49629, '3b837594a81880a70f177afab906fc45147d8b9c2c4f51132f784e41941812f9'),
    'val2017': (2175, '7c629734c88f1a74bba6311e01d4d9fe976df84f07cb4fc86452ce5116e51655'),
}


def check_split(path: Path, lines: int, sha256: str) -> str | None:
    """Compare a split file with PiCIE's; return the difference, if any."""
    count = len(read_split(path))
    if count != lines:
        return f'{path} lists {count} images: expected {lines}'
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != sha256:
        return f'{path} has sha256 {digest}: expected {sha256}'
    return None


def check_mask(path: Path) -> str | None:
    """Look for ids that COCO-Stuff does not use; return what is wrong, if anything."""
    try:
        ids = read_mask(path)
    except ValueError as error:
        return str(error)
    unknown = np.unique(ids[coco_stuff27_table()[ids] == UNKNOWN])
    if unknown.size:
        return f'{path} has ids {unknown.tolist()}: expected 0 to 181 or 255'
    return None


def check(
    root: Path, subset: str, official: bool, masks: bool, workers: int, partial: str | None = None
) -> Iterator[str]:
    """Find what is wrong with one subset.

    Args:
        root: the data root.
        subset: ``'train2017'`` or ``'val2017'``.
        official: whether the split file must be PiCIE's.
        masks: whether every mask is opened and its ids are checked.
        workers: processes that open masks.
        partial: name of a split file to write with the ids that have an image and a mask; missing
            ones are then no problem unless all are. A summary is printed.

    Yields:
        One sentence per problem.
    """
    split = root / 'curated' / subset / SPLIT_FILE
    try:
        ids = read_split(split)
    except (FileNotFoundError, ValueError) as error:
        yield str(error)
        return
    if official:
        problem = check_split(split, *SPLITS[subset])
        if problem:
            yield problem
    layout = find_layout(root)
    folders = {
        'images': (root / layout[0] / subset, IMAGE_SUFFIXES),
        'masks': (root / layout[1] / subset, ('.png',)),
    }
    found = {kind: list_folder(*place) for kind, place in folders.items()}
    if partial is None:
        for kind, (folder, _) in folders.items():
            try:
                require(ids, found[kind], f'file in {folder}', kind)
            except FileNotFoundError as error:
                yield str(error)
    else:
        lacking = {kind: sum(name not in names for name in ids) for kind, names in found.items()}
        present = [name for name in ids if name in found['images'] and name in found['masks']]
        summary = (
            f'{len(present)} of {len(ids)} listed images are there with their masks; missing: '
            f'{lacking["images"]} images, {lacking["masks"]} masks'
        )
        if not present:
            yield summary
            return
        try:
            write_file(split.with_name(partial), ''.join(f'{name}\n' for name in present))
        except OSError as error:
            yield f'{split.with_name(partial)} cannot be written: {error}'
            return
        print(f'{subset}: {summary}; those present are listed in {split.with_name(partial)}')
        ids = present
    if masks:
        folder = folders['masks'][0]
        paths = [folder / f'{name}.png' for name in ids if name in found['masks']]
        problems = process_map(check_mask, paths, max_workers=workers, chunksize=64, unit='mask')
        yield from filter(None, problems)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data-root', type=Path, default=Path('data'))
    parser.add_argument('--subsets', nargs='+', choices=tuple(SPLITS), default=tuple(SPLITS))
    parser.add_argument(
        '--any-split', action='store_true', help="accept split files other than PiCIE's"
    )
    parser.add_argument(
        '--partial',
        metavar='NAME',
        help='accept some of the listed images, and list those present in this split file',
    )
    parser.add_argument('--skip-masks', action='store_true', help="do not check the masks' ids")
    parser.add_argument('--workers', type=int, default=2, help='processes that open masks')
    options = parser.parse_args(arguments)
    if options.workers < 1:
        parser.error(f'--workers must be at least 1, got {options.workers}')
    name = options.partial
    if name is not None and (name != Path(name).name or name in ('', '..', SPLIT_FILE)):
        parser.error(f'--partial must be a file name other than {SPLIT_FILE}')
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status is 1 if something is wrong."""
    options = parse_arguments(arguments)
    failed = False
    for subset in options.subsets:
        problems = list(
            check(
                options.data_root,
                subset,
                official=not options.any_split,
                masks=not options.skip_masks,
                workers=options.workers,
                partial=options.partial,
            )
        )
        failed |= bool(problems)
        for problem in problems:
            print(f'{subset}: {problem}', file=sys.stderr)
        if not problems:
            print(f'{subset}: {"complete" if options.partial is None else "usable in part"}')
    return int(failed)


if __name__ == '__main__':
    sys.exit(main())

"""Files: written whole or not at all, image files found below folders, label maps written."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.tif', '.tiff', '.webp', '.bmp')
MAX_NAMED = 3


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Write a file whole or not at all.

    Args:
        path: the file. Folders above it are made.

    Yields:
        A temporary path beside ``path``, which takes its place when the block ends without an
        exception and is removed otherwise.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_write(Path(folder, 'a.txt')) as temporary:
        ...         _ = temporary.write_text('whole')
        ...     [file.name for file in Path(folder).iterdir()]
        ['a.txt']
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.part')
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_label_map(path: Path, labels: np.ndarray) -> None:
    """Write a label map as PNG: 8 bits, or 16 where it has labels above 255.

    Args:
        path: the file; it is written whole or not at all.
        labels: integers from 0, (H, W).

    Raises:
        ValueError: if labels are negative or above 65,535.
    """
    kind = np.min_scalar_type(labels.max())
    if labels.min() < 0 or kind.itemsize > 2:
        raise ValueError(
            f'{path}: labels must lie in 0 to 65535 to be written, '
            f'got {labels.min()} to {labels.max()}'
        )
    with atomic_write(path) as temporary:
        Image.fromarray(labels.astype(kind)).save(temporary, 'PNG')


def walk_images(
    folder: str,
    exclude: Collection[str] = (),
    onerror: Callable[[OSError], object] | None = None,
) -> Iterator[str]:
    """Find the image files of a folder and its subfolders, by their suffixes.

    Args:
        folder: the folder. Hidden files and folders are passed over.
        exclude: absolute paths of folders that are not searched.
        onerror: called with the error of a folder that cannot be listed.

    Yields:
        Paths that begin with ``folder``: those of a folder sorted, before those of its subfolders.
    """
    for parent, folders, files in os.walk(folder, onerror=onerror):
        folders[:] = [
            name
            for name in sorted(folders)
            if not name.startswith('.')
            and os.path.abspath(os.path.join(parent, name)) not in exclude
        ]
        yield from (os.path.join(parent, name) for name in sorted(files) if is_image_name(name))


def is_image_name(name: str) -> bool:
    """Tell whether a file name is that of an image, and not hidden.

    Example:
        >>> [is_image_name(name) for name in ('a.JPG', '.a.jpg', 'a.txt')]
        [True, False, False]
    """
    return not name.startswith('.') and name.lower().endswith(IMAGE_SUFFIXES)


def name_some(names: Sequence[str]) -> str:
    """Name the first few of many.

    Example:
        >>> name_some(['a', 'b', 'c', 'd'])
        'a, b, c, ...'
    """
    return ', '.join(names[:MAX_NAMED]) + ', ...' * (len(names) > MAX_NAMED)


def take_evenly(items: Sequence, count: int | None) -> Sequence:
    """Take evenly spaced items, the first among them; all if there are no more, or for None.

    Example:
        >>> take_evenly(list('abcdefgh'), 3)
        ['a', 'c', 'f']
    """
    if count is None or count >= len(items):
        return items
    return [items[index * len(items) // count] for index in range(count)]

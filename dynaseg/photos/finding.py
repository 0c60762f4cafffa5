import glob
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import count
from os import PathLike
from pathlib import Path

from dynaseg.io.files import IMAGE_SUFFIXES, is_image_name, walk_images

MAX_NAME_BYTES = 200  # file systems take 255, and suffixes are added


def find_images(
    inputs: str | PathLike | Iterable[str | PathLike], exclude: Iterable[str | PathLike] = ()
) -> list[Path]:
    """Find the image files that files, folders and patterns stand for.

    Files are taken whatever their name, and even where they do not exist, so that reading them
    says what is wrong. Folders are searched with their subfolders, and patterns (``*``, ``?``,
    ``[...]``, ``**``) matched, for the suffixes of JPEG, PNG, TIFF, WebP and BMP; hidden files and
    folders are passed over.

    Args:
        inputs: one or several files, folders or patterns.
        exclude: folders that are not searched, such as those of the outputs.

    Returns:
        Absolute paths, each once: inputs in their order, the files of each sorted by name.

    Raises:
        FileNotFoundError: if there is no file at all.
    """
    inputs = [inputs] if isinstance(inputs, (str, PathLike)) else list(inputs)
    exclude = {os.path.abspath(folder) for folder in exclude}
    files = {}
    for given in inputs:
        text = os.path.expanduser(os.fspath(given))
        if os.path.isdir(text):
            found = _search_folder(text, exclude)
        elif glob.has_magic(text) and not os.path.lexists(text):
            found = _search_pattern(text, exclude)
        else:
            found = [text]
        files.update(dict.fromkeys(Path(os.path.abspath(file)) for file in found))
    if not any(map(os.path.lexists, files)):
        places = ', '.join(str(given) for given in inputs) or 'nothing'
        raise FileNotFoundError(f'no image files ({" ".join(IMAGE_SUFFIXES)}) found in: {places}')
    return list(files)


def name_outputs(files: Iterable[Path], known: Mapping[Path, str]) -> dict[Path, str]:
    """Give every file a name for its outputs: its stem, numbered where another file has that name.

    Args:
        files: image files.
        known: names that were given before; they are kept.

    Returns:
        Names by file, also those known. No two are equal, not even where letter case is ignored.

    Example:
        >>> files = [Path('a/sea.jpg'), Path('b/sea.png'), Path('b/Sea.jpg')]
        >>> list(name_outputs(files, {}).values())
        ['sea', 'sea-2', 'Sea-3']
    """
    names = dict(known)
    used = {name.casefold() for name in names.values()}
    numbers = defaultdict(lambda: count(2))
    for file in files:
        if file in names:
            continue
        # File names may hold bytes that are no text; outputs and the page need text.
        stem = name = os.fsencode(file.stem)[:MAX_NAME_BYTES].decode('utf-8', 'replace')
        while name.casefold() in used:
            name = f'{stem}-{next(numbers[stem.casefold()])}'
        used.add(name.casefold())
        names[file] = name
    return names


def _search_folder(folder: str, exclude: set[str]) -> list[str]:
    errors = []
    found = list(walk_images(folder, exclude, errors.append))
    # A folder that cannot be listed is passed on like a file, and reported as one.
    return found + [error.filename for error in errors]


def _search_pattern(pattern: str, exclude: set[str]) -> list[str]:
    found = []
    for match in sorted(glob.glob(pattern, recursive=True)):
        path = Path(os.path.abspath(match))
        if not exclude.isdisjoint(map(str, (path, *path.parents))):
            continue
        if path.is_dir():
            found += _search_folder(match, exclude)
        elif is_image_name(path.name):
            found.append(match)
    return found

import glob
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from itertools import count
from os import PathLike
from pathlib import Path

from dynaseg.io.files import IMAGE_SUFFIXES, is_image_name, walk_images
from dynaseg.photos.outputs import CUT_OUTS, is_output_folder, read_cut_outs

SUFFIXES = ' '.join(IMAGE_SUFFIXES)
MAX_NAME_BYTES = 200  # file systems take 255, and suffixes are added

Skip = Callable[[str], bool]
OnOther = Callable[[str], object] | None


def find_images(
    inputs: str | PathLike | Iterable[str | PathLike],
    exclude: Iterable[str | PathLike] = (),
    on_other: Callable[[str], object] | None = None,
) -> list[Path]:
    """Find the image files that files, folders and patterns stand for.

    Files are taken whatever their name, and even where they do not exist, so that reading them
    says what is wrong. Folders are searched with their subfolders, and patterns (``*``, ``?``,
    ``[...]``, ``**``) matched, for the suffixes of :func:`dynaseg.io.reading.read_image`'s formats;
    hidden files and folders, and the outputs of earlier runs, are skipped.

    Args:
        inputs: one or several files, folders or patterns.
        exclude: folders that are not searched, such as those of the outputs.
        on_other: called with each file of a folder that is ignored because of its suffix.

    Returns:
        Absolute paths, each once: inputs in their order, the files of each sorted by name.

    Raises:
        FileNotFoundError: if there is no file at all, or a pattern matches none.
        ValueError: if an input is an empty text, a folder of outputs of an earlier run, or the only
            images found are such outputs.
    """
    inputs = [inputs] if isinstance(inputs, (str, PathLike)) else list(inputs)
    exclude = {os.path.abspath(folder) for folder in exclude}

    @cache
    def skip(folder: str) -> bool:
        path = os.path.abspath(folder)
        if is_output_folder(Path(path)):
            outputs.add(os.path.dirname(folder) or os.curdir)
            return True
        return path in exclude

    @cache
    def list_cut_outs(out_dir: Path) -> set[str]:
        return {f'{name}.png' for name in read_cut_outs(out_dir).values()}

    def is_cut_out(file: str) -> bool:
        path = Path(os.path.abspath(file))
        return path.parent.name in CUT_OUTS and path.name in list_cut_outs(path.parent.parent)

    files, outputs = {}, set()
    texts = [os.path.expanduser(os.fspath(given)) for given in inputs]
    for text in texts:
        if not text:
            raise ValueError('an input has no name: expected a file, a folder or a pattern')
        if os.path.isdir(text):
            if is_output_folder(Path(os.path.abspath(text))):
                raise ValueError(
                    f'{text} holds outputs of an earlier run: name single files to segment them'
                )
            found = _search_folder(text, skip, on_other)
        elif glob.has_magic(text) and not os.path.lexists(text):
            found = _search_pattern(text, skip, on_other)
            if not found and len(texts) > 1:
                raise FileNotFoundError(f'no image files ({SUFFIXES}) found by the pattern {text}')
        else:
            found = [text]
        if found != [text]:
            found = [file for file in found if not is_cut_out(file)]
        files.update(dict.fromkeys(Path(os.path.abspath(file)) for file in found))
    if not any(map(os.path.lexists, files)):
        places = ', '.join(str(given) for given in inputs) or 'nothing'
        if inputs and not any(glob.has_magic(place) or os.path.isdir(place) for place in texts):
            raise FileNotFoundError(f'no such file or folder: {places}')
        if outputs:
            raise ValueError(
                f'{min(outputs)} holds outputs of an earlier run, and there are no other images'
            )
        raise FileNotFoundError(f'no image files ({SUFFIXES}) found in: {places}')
    return list(files)


def name_outputs(
    files: Iterable[Path],
    known: Mapping[Path, str],
    is_taken: Callable[[str], bool] = lambda name: False,
) -> dict[Path, str]:
    """Give every file a name for its outputs: its stem, numbered where another file has that name.

    Args:
        files: image files.
        known: names that were given before; they are kept.
        is_taken: tells of a name that no other file has that it cannot be used.

    Returns:
        Names by file, also those known. No two are equal, not even where letter case is ignored.

    Examples:
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
        text = os.fsencode(file.stem).decode('utf-8', 'replace').encode()
        stem = text[:MAX_NAME_BYTES].decode('utf-8', 'ignore')
        if stem in ('.', '..'):  # of a file called ..jpg, say: folders, not names
            stem = stem.replace('.', '_')
        name = stem
        while name.casefold() in used or is_taken(name):
            name = f'{stem}-{next(numbers[stem.casefold()])}'
        used.add(name.casefold())
        names[file] = name
    return names


def _search_folder(folder: str, skip: Skip, on_other: OnOther) -> list[str]:
    errors = []
    found = list(walk_images(folder, skip, errors.append, on_other))
    # A folder that cannot be listed is passed on like a file, and reported as one.
    return found + [error.filename for error in errors]


def _search_pattern(pattern: str, skip: Skip, on_other: OnOther) -> list[str]:
    found = []
    for match in sorted(glob.glob(pattern, recursive=True)):
        path = Path(os.path.abspath(match))
        if any(map(skip, map(str, (path, *path.parents)))):
            continue
        if path.is_dir():
            found += _search_folder(match, skip, on_other)
        elif is_image_name(path.name):
            found.append(match)
    return found

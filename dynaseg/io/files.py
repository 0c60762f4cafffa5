"""Files: written whole or not at all, and image files found below folders."""

import lzma
import os
import secrets
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import IO, BinaryIO

try:
    import fcntl
except ImportError:  # there, processes do not wait for one another
    fcntl = None

# What decoders raise on damaged files, which depends on the format, on what is damaged and on the
# decoder's version: mostly OSError, but also what indexing, unpacking or dividing by the damaged
# values raises.
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    EOFError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
)

IMAGE_SUFFIXES = (
    '.jpg',
    '.jpeg',
    '.png',
    '.tif',
    '.tiff',
    '.webp',
    '.bmp',
    '.gif',
    '.avif',
    '.heic',
    '.heif',
)
PART_SUFFIX = '.part'
PART_BYTES = 4  # of chance in a temporary file's name
MAX_NAMED = 3


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Write a file whole or not at all.

    Args:
        path: the file. Folders above it are made.

    Yields:
        A temporary path beside ``path``, of which no other writer knows; it takes the place of
        ``path`` when the block ends without an exception and is removed otherwise.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_write(Path(folder, 'a.txt')) as temporary:
        ...         _ = temporary.write_text('whole')
        ...     [file.name for file in Path(folder).iterdir()]
        ['a.txt']
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{secrets.token_hex(PART_BYTES)}{PART_SUFFIX}')
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_file(path: Path, content: bytes | str, sync: bool = False) -> None:
    """Write a file whole or not at all, whatever its content.

    Args:
        path: the file. Folders above it are made.
        content: bytes, or text that is written as UTF-8.
        sync: whether to wait until it is on the disk, so that a power cut leaves it whole, too.

    Raises:
        OSError: if it cannot be written as a whole, such as on a full disk.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_file(Path(folder, 'sub', 'a.txt'), 'whole')
        ...     Path(folder, 'sub', 'a.txt').read_text()
        'whole'
    """
    content = content.encode() if isinstance(content, str) else content
    with atomic_write(path) as temporary:
        try:
            temporary.write_bytes(content)
            if sync:
                with temporary.open('rb+') as file:
                    os.fsync(file.fileno())
        except OSError as error:  # as of the file that was asked for
            raise OSError(error.errno, error.strerror, str(path)) from error
        written = temporary.stat().st_size
        if written != len(content):
            raise OSError(f'{path}: {written} of {len(content)} bytes were written')


def read_names(path: Path, apart: str | None = None) -> list[str]:
    """Read the names that a text file lists, such as a split of a data set.

    Args:
        path: a file in UTF-8, with a byte order mark or without.
        apart: what is between the names; white space of any kind if None.

    Returns:
        The names, in the file's order.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no file or no text, lists no name, or lists one more than once.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_file(Path(folder, 'val.txt'), 'one two')
        ...     read_names(Path(folder, 'val.txt'))
        ['one', 'two']
    """
    if path.exists() and not path.is_file():  # reading a pipe would wait for ever
        raise ValueError(f'{path} is not a file')
    try:
        parts = path.read_text(encoding='utf-8-sig').split(apart)
        names = [part.strip() for part in parts if part.strip()]
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is no text in UTF-8 (byte {error.start})') from error
    if not names:
        raise ValueError(f'{path} lists no image: expected one name a line')
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(f'{path} lists {len(repeated)} names twice: {name_some(repeated)}')
    return names


def remove_parts(folder: Path) -> None:
    """Remove what writers that were killed have left in a folder, if there is one."""
    for path in folder.glob(f'.*.{"[0-9a-f]" * 2 * PART_BYTES}{PART_SUFFIX}'):
        path.unlink(missing_ok=True)


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Append lines to a text file, of which a killed writer may have cut off the last one.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, 'notes')
        ...     _ = path.write_text('cut o')
        ...     append_lines(path, ['two'])
        ...     path.read_text().splitlines()
        ['cut o', 'two']
    """
    with path.open('a+b') as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            lines = lines if file.read() == b'\n' else ['', *lines]
        file.write(''.join(f'{line}\n' for line in lines).encode())


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep others that do the same waiting, where the system can; the file is made."""
    with path.open('a') as file:
        lock(file)
        yield


def lock(file: IO, wait: bool = True) -> None:
    """Lock an open file until it is closed, where the system can.

    Raises:
        BlockingIOError: if another process has locked it, unless ``wait``.
    """
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def walk_images(
    folder: str,
    skip: Callable[[str], object] | None = None,
    onerror: Callable[[OSError], object] | None = None,
    onother: Callable[[str], object] | None = None,
) -> Iterator[str]:
    """Find the image files of a folder and its subfolders, by their suffixes.

    Args:
        folder: the folder. Hidden files and folders are skipped.
        skip: tells of a subfolder, by its path, that it is not to be searched.
        onerror: called with the error of a folder that cannot be listed.
        onother: called with the path of each file, not hidden, that is no image by its suffix.

    Yields:
        Paths that begin with ``folder``: those of a folder sorted, before those of its subfolders.
    """
    for parent, folders, files in os.walk(folder, onerror=onerror):
        folders[:] = [
            name
            for name in sorted(folders)
            if not name.startswith('.') and not (skip and skip(os.path.join(parent, name)))
        ]
        for name in sorted(files):
            if is_image_name(name):
                yield os.path.join(parent, name)
            elif onother and not name.startswith('.'):
                onother(os.path.join(parent, name))


def is_image_name(name: str) -> bool:
    """Tell whether a file name is that of an image, and not hidden.

    Examples:
        >>> [is_image_name(name) for name in ('a.JPG', '.a.jpg', 'a.txt')]
        [True, False, False]
    """
    return not name.startswith('.') and name.lower().endswith(IMAGE_SUFFIXES)


def name_some(names: Sequence[str]) -> str:
    """Name the first few of many.

    Examples:
        >>> name_some(['a', 'b', 'c', 'd'])
        'a, b, c, ...'
    """
    return ', '.join(names[:MAX_NAMED]) + ', ...' * (len(names) > MAX_NAMED)


def take_evenly(items: Sequence, count: int | None) -> Sequence:
    """Take evenly spaced items, the first among them; all if there are no more, or for None.

    Examples:
        >>> take_evenly(list('abcdefgh'), 3)
        ['a', 'c', 'f']
    """
    if count is None or count >= len(items):
        return items
    return [items[index * len(items) // count] for index in range(count)]


def is_damaged(path: str | PathLike) -> bool:
    """Tell whether a file is an archive, such as PyTorch writes, whose content has changed.

    PyTorch ignores the checksums. What is no file, such as a URL, is not one.
    """
    return zipfile.is_zipfile(path) and not is_whole(Path(path))


def is_whole(archive: Path | BinaryIO) -> bool:
    """Tell whether an archive, such as PyTorch writes, is intact: records match their checksums.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryFile() as file:
        ...     with zipfile.ZipFile(file, 'w') as records:
        ...         records.writestr('a', 'text')
        ...     before = is_whole(file)
        ...     _ = file.truncate(20)
        ...     before, is_whole(file)
        (True, False)
    """
    try:
        with zipfile.ZipFile(archive) as records:
            return records.testzip() is None
    except DAMAGE:
        return False

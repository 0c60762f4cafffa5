"""The records of segmented images in a folder, over as many runs as it takes."""

import json
import os
import time
from os import PathLike
from pathlib import Path

from dynaseg.io.files import remove_parts, write_file
from dynaseg.photos.outputs import OUTPUTS, output_paths
from dynaseg.photos.page import PAGE_SIZE, Overview, page_name, render_page, write_assets

try:
    import fcntl
except ImportError:  # there, two runs in one folder at a time are not noticed
    fcntl = None

MAX_SAVING_SHARE = 0.05  # of the time of a run


class Results:
    """The outputs of segmenting images into a folder, over as many runs as it takes.

    ``results.jsonl`` holds the settings in its first line and a record an image in each further
    one; of several records of a file the last counts. ``index.html``, ``index-2.html`` and so on
    show them. While it is open, no other run can write into the folder.

    Args:
        out_dir: the folder; it is made.
        settings: what the outputs depend on, as values of JSON.
        overwrite: start anew, and remove the outputs of which ``results.jsonl`` knows.

    Raises:
        ValueError: if another run is writing into the folder; unless ``overwrite``, if the folder
            holds results of other settings or of an earlier version, a ``results.jsonl`` that is
            damaged, or outputs without any: another's files, perhaps.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> with Results(folder.name, {'seed': 0}) as results:
        ...     results.add({'file': '/photos/a.jpg', 'name': 'a', 'error': 'damaged'})
        >>> with Results(folder.name, {'seed': 0}) as results:
        ...     results[Path('/photos/a.jpg')]['error']
        'damaged'
        >>> folder.cleanup()
    """

    def __init__(
        self, out_dir: str | PathLike, settings: dict[str, object], overwrite: bool = False
    ) -> None:
        self.out_dir = Path(out_dir)
        self.settings = settings
        self.path = self.out_dir / 'results.jsonl'
        # A million records do not fit the memory, but where they are does.
        self._numbers: dict[str, int] = {}  # by file, in the order in which they came
        self._names: list[str] = []
        self._offsets: list[int] = []
        self._overview = Overview()
        self._stale_pages = {0}
        self._saved_at = self._seconds_to_save = 0.0
        is_new = not self.path.exists()
        if is_new and not overwrite:
            self._refuse_foreign_files()
        self.out_dir.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open('a+b')
        try:
            self._open(is_new, overwrite)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> 'Results':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def names(self) -> dict[Path, str]:
        """The names of the outputs, by image file."""
        return {Path(file): self._names[number] for file, number in self._numbers.items()}

    def __getitem__(self, file: Path) -> dict:
        return self._read(self._numbers[str(file)])

    def is_done(self, file: Path) -> bool:
        """Tell whether an image, as it is now, has been segmented and its outputs are there."""
        if str(file) not in self._numbers:
            return False
        record = self[file]
        if 'error' in record:
            return False
        unchanged = file.is_file() and describe_file(file).items() <= record.items()
        paths = output_paths(self.out_dir, record['name'])
        return unchanged and all(path.is_file() for path in paths.values())

    def add(self, record: dict) -> None:
        """Add the record of an image, or replace it; see :func:`dynaseg.photos.segment_images`."""
        self._note(record, self._append(record))
        # Pages take a while to write: rarely enough, then, for it not to matter.
        if time.monotonic() - self._saved_at > self._seconds_to_save / MAX_SAVING_SHARE:
            self.save()

    def save(self) -> None:
        """Write the pages that are not up to date."""
        start = time.monotonic()
        for page in sorted(self._stale_pages):
            numbers = range(PAGE_SIZE * page, min(PAGE_SIZE * (page + 1), len(self._names)))
            records = [self._read(number) for number in numbers]
            content = render_page(records, self.settings, self._overview, page)
            write_file(self.out_dir / page_name(page), content)
        self._stale_pages = {0}  # the first shows how many there are in all
        self._saved_at = time.monotonic()
        self._seconds_to_save = self._saved_at - start

    def close(self) -> None:
        """Write the pages, remove what killed processes left, and let other runs in."""
        try:
            self.save()
            self._remove_parts()
        finally:
            self._file.close()

    def _open(self, is_new: bool, overwrite: bool) -> None:
        if fcntl is not None:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ValueError(f'another run is writing into {self.out_dir}') from error
        if overwrite:
            self._remove()
        if is_new or overwrite:
            self._append({'settings': self.settings})
        else:
            self._resume()
        self._remove_parts()
        write_assets(self.out_dir)
        self.save()

    def _append(self, content: dict) -> int:
        """Append a line; returns where it begins."""
        offset = self._file.seek(0, os.SEEK_END)
        self._file.write(json.dumps(content).encode() + b'\n')
        self._file.flush()
        return offset

    def _read(self, number: int) -> dict:
        self._file.seek(self._offsets[number])
        return json.loads(self._file.readline())

    def _note(self, record: dict, offset: int) -> None:
        """Note that the record of a file is at an offset."""
        number = self._numbers.setdefault(record['file'], len(self._names))
        if number == len(self._names):
            self._names.append(record['name'])
            self._offsets.append(offset)
        self._offsets[number] = offset
        self._names[number] = record['name']
        self._overview.note(number, record)
        page = number // PAGE_SIZE
        self._stale_pages.add(page)
        if number % PAGE_SIZE == 0 and page:
            self._stale_pages.add(page - 1)  # which now has a next one

    def _refuse_foreign_files(self) -> None:
        if (self.out_dir / 'results.json').exists():
            raise ValueError(
                f'{self.out_dir} holds results of an earlier version of DynaSeg (results.json): '
                'choose another output folder, or overwrite'
            )
        for folder in OUTPUTS:
            if any((self.out_dir / folder).glob('*')):
                raise ValueError(
                    f'{self.out_dir / folder} holds files, but {self.path} is missing: '
                    'choose another output folder, or overwrite'
                )

    def _resume(self) -> None:
        try:
            settings = self._load()
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f'{self.path} is damaged or of another program ({error}): '
                'choose another output folder, or overwrite'
            ) from error
        if self._are_pages_written():
            self._stale_pages = {0}
        changes = [
            _describe_change(key, settings.get(key), self.settings.get(key))
            for key in sorted(settings.keys() | self.settings.keys())
            if settings.get(key) != self.settings.get(key)
        ]
        if changes:
            raise ValueError(
                f'{self.out_dir} holds results of other settings ({"; ".join(changes)}): '
                'choose another output folder, or overwrite'
            )

    def _load(self) -> dict:
        """Note all records, and return the settings; a last line that was cut off goes."""
        self._file.seek(0)
        settings = json.loads(self._file.readline())['settings']
        if not isinstance(settings, dict):
            raise TypeError('its settings are no object')
        while True:
            offset = self._file.tell()
            line = self._file.readline()
            if not line.endswith(b'\n'):
                break
            record = json.loads(line)
            _check_record(record)
            self._note(record, offset)
        if line:
            self._file.truncate(offset)
        return settings

    def _are_pages_written(self) -> bool:
        """Tell whether the run before wrote its pages in the end, rather than being killed."""
        index = self.out_dir / page_name(0)
        return index.exists() and index.stat().st_mtime_ns >= self.path.stat().st_mtime_ns

    def _remove(self) -> None:
        """Remove the outputs and pages of earlier runs, as far as their records can be read."""
        old = self.out_dir / 'results.json'
        try:
            records = json.loads(old.read_text('utf-8'))['images'] if old.is_file() else []
            for record in records:
                _check_record(record)
            self._names = [record['name'] for record in records]
            self._load()
        except (ValueError, KeyError, TypeError):
            pass
        for name in self._names:
            for path in output_paths(self.out_dir, name).values():
                path.unlink(missing_ok=True)
        for page in range(-(-len(self._names) // PAGE_SIZE)):
            (self.out_dir / page_name(page)).unlink(missing_ok=True)
        old.unlink(missing_ok=True)
        self._file.truncate(0)
        self._numbers, self._names, self._offsets = {}, [], []
        self._overview, self._stale_pages = Overview(), {0}

    def _remove_parts(self) -> None:
        for folder in ('', *OUTPUTS):
            remove_parts(self.out_dir / folder)


def describe_file(file: Path) -> dict[str, int]:
    """Describe a file such that a change of its content shows; OSError if it is not there."""
    status = file.stat()
    return {'bytes': status.st_size, 'modified': status.st_mtime_ns}


def _describe_change(key: str, before: object, now: object) -> str:
    if key.endswith('_sha256'):
        return f'the content of the {key.removesuffix("_sha256")} has changed'
    return f'{key} was {before!r}, is {now!r}'


def _check_record(record: dict) -> None:
    """Check all of a record that is relied on."""
    name = record['name']
    if Path(name).name != name or not isinstance(record['file'], str):
        raise ValueError(f'{name!r} is no name of an output')
    if 'error' not in record and not {'bytes', 'modified'} <= record.keys():
        raise ValueError(f'the record of {record["file"]} is incomplete')

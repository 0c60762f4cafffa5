"""What is written into a folder about segmented images, over as many runs as it takes."""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext, suppress
from os import PathLike
from pathlib import Path

from dynaseg.io.files import append_lines, remove_parts, write_file
from dynaseg.io.pages import write_assets
from dynaseg.photos.legend import Legend
from dynaseg.photos.outputs import OUTPUTS, RECORDS_NAME, are_as_recorded, output_paths
from dynaseg.photos.page import ASSETS, LEGEND_NAME, PAGE_SIZE, Overview, page_name, render_page
from dynaseg.photos.records import RecordFile

LONGEST_SHOWN = 60  # characters of a setting in an error
MAX_SAVING_SHARE = 0.05  # of the time of a run


class Results:
    """The outputs of segmenting images into a folder, over as many runs as it takes.

    ``results.jsonl`` holds the settings in its first line and one record per image in the others;
    of several records of a file the last counts, and where settings changed there is a line of the
    new ones. ``index.html``, ``index-2.html`` and so on show them. While it is open, no other run
    can write into the folder.

    No file is written over that no run has noted as its own. A run notes an image's outputs in the
    hidden ``.claims.jsonl`` before it writes them, and in the image's record when they are there.

    Args:
        out_dir: the folder; it is made.
        settings: what the outputs depend on, as values of JSON.
        overwrite: no image is done yet, and the folder may hold results of other settings, whose
            outputs stay until their images are done again.

    Raises:
        ValueError: if another run is writing into the folder, or it holds a file of another program
            by a name that is needed, or a ``results.jsonl`` that is damaged; unless ``overwrite``,
            if it holds results of other settings, or outputs without a ``results.jsonl``.

    Attributes:
        has_changed: whether this run has added a record of an image with outputs, or replaced one.

    Examples:
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
        self.overwrite = overwrite
        self.has_changed = False
        self._claims: dict[str, str] = {}  # names by file, of what is being written
        self._claims_path = self.out_dir / '.claims.jsonl'
        self._overview = Overview()
        names = settings.get('label_names')
        self._legend = None if names is None else Legend(names)
        self._stale_pages = {0}
        self._saved_at = self._seconds_to_save = 0.0
        path = self.out_dir / RECORDS_NAME
        if not path.exists() or not path.stat().st_size:
            self._refuse_foreign_files()
        self.out_dir.mkdir(parents=True, exist_ok=True)
        try:
            self._records = RecordFile(path)
        except BlockingIOError as error:
            raise ValueError(f'another run is writing into {self.out_dir}') from error
        try:
            if path.stat().st_size:
                self._resume()
            else:
                self._records.start(settings)
            self._remove_parts()
            write_assets(ASSETS, self.out_dir)
            self.save()
        except BaseException:
            self._records.close()
            raise

    def __enter__(self) -> 'Results':
        return self

    def __exit__(self, exception_type: type | None, *_: object) -> None:
        # On a full disk, what matters is what could not be written first.
        with suppress(OSError) if exception_type else nullcontext():
            self.close()

    @property
    def names(self) -> dict[Path, str]:
        """The names of the outputs, by image file."""
        return {Path(file): name for file, name in (self._records.names | self._claims).items()}

    def __getitem__(self, file: Path) -> dict:
        return self._records[self._records.find(str(file))]

    def is_done(self, file: Path) -> bool:
        """Tell whether an image, as it is now, has been segmented and its outputs are there."""
        number = self._records.find(str(file))
        if self.overwrite or number is None or not self._records.is_current(number):
            return False
        record = self._records[number]
        if 'error' in record:
            return False
        try:
            unchanged = file.is_file() and describe_file(file).items() <= record.items()
        except OSError:  # its record will say so
            return False
        return unchanged and are_as_recorded(self.out_dir, record)

    def list_current(self) -> Iterator[dict]:
        """List the records of all images whose outputs are there, with the settings of now.

        Yields:
            Records of the folder, whichever run they come from, in the order of their files.
        """
        for file in sorted(self._records.names):
            number = self._records.find(file)
            record = self._records[number]
            if self._records.is_current(number) and 'error' not in record:
                paths = output_paths(self.out_dir, record['name'])
                if paths['regions'].is_file() and paths['labels'].is_file():
                    yield record

    def is_foreign(self, name: str) -> bool:
        """Tell whether there is a file where outputs of that new name would go."""
        return any(path.exists() for path in output_paths(self.out_dir, name).values())

    def claim(self, images: Iterable[tuple[Path, str]]) -> None:
        """Note that outputs are going to be written, before any is: files, and outputs' names."""
        claims = {str(file): name for file, name in images}
        append_lines(self._claims_path, map(json.dumps, claims.items()))
        self._claims |= claims

    def add(self, record: dict) -> None:
        """Add the record of an image, or replace it; see :func:`dynaseg.segment_images`."""
        number = self._records.find(record['file'])
        before = None if number is None else self._records[number]
        if self._legend and before and self._records.is_current(number):
            self._legend.note(before, times=-1)
        self.has_changed |= 'error' not in record or 'error' not in (before or record)
        self._note(self._records.add(record), record)
        if self._legend:
            self._legend.note(record)
        self._claims.pop(record['file'], None)
        # Pages take a while to write: rarely enough, then, for it not to matter.
        if time.monotonic() - self._saved_at > self._seconds_to_save / MAX_SAVING_SHARE:
            self.save()

    def save(self) -> None:
        """Write the pages that are not up to date."""
        start = time.monotonic()
        for page in sorted(self._stale_pages, reverse=True):  # the first one says that all are done
            numbers = range(PAGE_SIZE * page, min(PAGE_SIZE * (page + 1), len(self._records)))
            records = [self._records[number] for number in numbers]
            legend = self._legend if page == 0 else None
            content = render_page(records, self.settings, self._overview, page, legend)
            write_file(self.out_dir / page_name(page), content)
        if self._legend:
            write_file(self.out_dir / LEGEND_NAME, self._legend.draw(self.out_dir))
        self._stale_pages = {0}  # the first shows how many there are in all
        self._saved_at = time.monotonic()
        self._seconds_to_save = self._saved_at - start

    def close(self) -> None:
        """Write the pages, remove what killed processes left, and let other runs in."""
        try:
            self.save()
            self._remove_parts()
            if not self._claims:
                self._claims_path.unlink(missing_ok=True)
        finally:
            self._records.close()

    def _note(self, number: int, record: dict) -> None:
        self._overview.note(number, record)
        page = number // PAGE_SIZE
        self._stale_pages.add(page)
        if number % PAGE_SIZE == 0 and page:
            self._stale_pages.add(page - 1)  # which now has a next one

    def _refuse_foreign_files(self) -> None:
        for name in (page_name(0), page_name(1), 'assets', 'results.json'):
            if (self.out_dir / name).exists():
                raise ValueError(
                    f'{self.out_dir / name} is of another program, or of an earlier version of '
                    'DynaSeg: choose another folder (--out-dir)'
                )
        for folder in OUTPUTS:
            if not self.overwrite and any((self.out_dir / folder).glob('*')):
                raise ValueError(
                    f'{self.out_dir / folder} holds files, but {self.out_dir / RECORDS_NAME} is '
                    'missing: choose another folder (--out-dir), or --overwrite'
                )

    def _resume(self) -> None:
        try:
            for number, record in self._records.load():
                self._note(number, record)
            self._load_claims()
        except ValueError as error:
            raise ValueError(
                f'{self._records.path} is damaged or of another program ({error}): '
                'choose another folder (--out-dir)'
            ) from error
        if self._are_pages_written():
            self._stale_pages = {0}
        before = self._records.settings
        changes = [
            _describe_change(key, before.get(key), self.settings.get(key))
            for key in sorted(before.keys() | self.settings.keys())
            if before.get(key) != self.settings.get(key)
        ]
        if changes and not self.overwrite:
            raise ValueError(
                f'{self.out_dir} holds results of other settings ({"; ".join(changes)}): '
                'choose another folder (--out-dir), or do the images again (--overwrite)'
            )
        if changes:
            self._records.start(self.settings)
        elif self._legend:
            for number in filter(self._records.is_current, range(len(self._records))):
                self._legend.note(self._records[number])

    def _load_claims(self) -> None:
        """Note what a run that was ended was writing; the last line may have been cut off."""
        if not self._claims_path.exists():
            return
        for line in self._claims_path.read_text('utf-8').splitlines():
            with suppress(ValueError, TypeError):
                file, name = json.loads(line)
                if self._records.find(file) is None and Path(name).name == name:
                    self._claims[file] = name

    def _are_pages_written(self) -> bool:
        """Tell whether the run before wrote its pages in the end, rather than being killed."""
        index, records = self.out_dir / page_name(0), self._records.path
        return index.exists() and index.stat().st_mtime_ns >= records.stat().st_mtime_ns

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
    old, new = _shorten(before), _shorten(now)
    return f'{key} has changed' if old == new else f'{key} was {old}, is {new}'


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f'{text[:LONGEST_SHOWN]} ...'

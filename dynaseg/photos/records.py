"""The file of the records of segmented images: a line each, which one process at a time adds to."""

import json
import os
from array import array
from collections.abc import Iterator
from pathlib import Path

from dynaseg.io.files import DAMAGE, lock

RELIED_ON = {
    *('bytes', 'modified', 'seconds', 'outputs', 'size', 'detail', 'regions'),
    *('clusters', 'iterations', 'stop_reason', 'min_clusters', 'clusters_by_iteration'),
}


def has_records(path: Path) -> bool:
    """Tell whether a file is of DynaSeg's records, by the settings in its first line.

    Args:
        path: the file, which need not exist.

    Returns:
        Whether it is; False also where it cannot be read.
    """
    try:
        with path.open('rb') as file:
            return 'version' in json.loads(file.readline())['settings']
    except DAMAGE:
        return False


class RecordFile:
    """Records of images by their files, over as many runs as it takes.

    A line holds the settings of the records after it, or a record; of several records of a file the
    last counts. Lines are only ever added. While it is open, no other process can open it.

    Args:
        path: the file; it is made.

    Raises:
        BlockingIOError: if another process has it open.

    Examples:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> with RecordFile(Path(folder.name, 'results.jsonl')) as records:
        ...     records.start({'seed': 0})
        ...     number = records.add({'file': '/photos/a.jpg', 'name': 'a', 'error': 'damaged'})
        ...     records[number]['error'], records.names
        ('damaged', {'/photos/a.jpg': 'a'})
        >>> folder.cleanup()
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings: dict[str, object] | None = None
        # A million records do not fit the memory, but where they are does.
        self._numbers: dict[str, int] = {}  # by file, in the order in which they came
        self._names: list[str] = []
        self._offsets = array('Q')
        self._eras = array('L')  # how often the settings had changed before each
        self._era = 0
        self._file = path.open('a+b')
        try:
            lock(self._file, wait=False)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> 'RecordFile':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, number: int) -> dict:
        self._file.seek(self._offsets[number])
        return json.loads(self._file.readline())

    @property
    def names(self) -> dict[str, str]:
        """The names of the outputs, by image file."""
        return {file: self._names[number] for file, number in self._numbers.items()}

    def find(self, file: str) -> int | None:
        """Find the number of a file's record; None if it has none."""
        return self._numbers.get(file)

    def is_current(self, number: int) -> bool:
        """Tell whether a record was made with the settings of now."""
        return self._eras[number] == self._era

    def load(self) -> Iterator[tuple[int, dict]]:
        """Read the whole file; a last line that was cut off goes.

        Yields:
            The number of each record, and the record.

        Raises:
            ValueError: if a line is neither; it says which, and why.
        """
        self._file.seek(0)
        for line_number in range(1, 2**63):
            offset = self._file.tell()
            line = self._file.readline()
            if not line.endswith(b'\n'):
                break
            try:
                content = json.loads(line)
                if line_number == 1 or content.keys() == {'settings'}:
                    self._use(content['settings'])
                    continue
                _check_record(content)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(f'line {line_number}: {error!r}') from error
            yield self._note(content, offset), content
        if self.settings is None:
            raise ValueError('it has no line of settings')
        if line:
            self._file.truncate(offset)

    def start(self, settings: dict[str, object]) -> None:
        """Begin records with other settings than before."""
        self._append({'settings': settings})
        self._use(settings)

    def add(self, record: dict) -> int:
        """Add the record of an image, or replace it; returns its number."""
        return self._note(record, self._append(record))

    def close(self) -> None:
        """Close the file, and let other processes in."""
        self._file.close()

    def _use(self, settings: dict[str, object]) -> None:
        if not isinstance(settings, dict):
            raise TypeError('its settings are no object')
        self._era += settings != self.settings
        self.settings = settings

    def _append(self, content: dict) -> int:
        """Append a line; returns where it begins."""
        offset = self._file.seek(0, os.SEEK_END)
        self._file.write(json.dumps(content).encode() + b'\n')
        self._file.flush()
        return offset

    def _note(self, record: dict, offset: int) -> int:
        number = self._numbers.setdefault(record['file'], len(self._names))
        if number == len(self._names):
            self._names.append(record['name'])
            self._offsets.append(offset)
            self._eras.append(self._era)
        self._names[number] = record['name']
        self._offsets[number] = offset
        self._eras[number] = self._era
        return number


def _check_record(record: dict) -> None:
    """Check all of a record that is relied on."""
    name = record['name']
    if Path(name).name != name or not isinstance(record['file'], str):
        raise ValueError(f'{name!r} is no name of an output')
    if 'error' not in record:
        missing = RELIED_ON - record.keys()
        if missing:
            raise KeyError(*sorted(missing))

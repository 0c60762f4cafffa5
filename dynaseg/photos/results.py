import json
import time
from os import PathLike
from pathlib import Path

from dynaseg.io.files import atomic_write
from dynaseg.photos.page import render_page

LABELS, OVERLAYS, THUMBNAILS = 'labels', 'overlays', 'thumbnails'
OUTPUTS = {LABELS: '.png', OVERLAYS: '.jpg', THUMBNAILS: '.jpg'}
MAX_SAVING_SHARE = 0.05  # of the time of a run


class Results:
    """The outputs of segmenting images into a folder, over as many runs as it takes.

    ``results.json`` holds the settings and a record an image, in lines; ``index.html`` shows them.

    Args:
        out_dir: the folder; it is made.
        settings: what the outputs depend on, as values of JSON.
        overwrite: start anew, and remove the outputs of which ``results.json`` knows.

    Raises:
        ValueError: unless ``overwrite``, if the folder holds results of other settings, a
            ``results.json`` that is damaged, or outputs without any: another's files, perhaps.
    """

    def __init__(
        self, out_dir: str | PathLike, settings: dict[str, object], overwrite: bool = False
    ) -> None:
        self.out_dir = Path(out_dir)
        self.settings = settings
        self.path = self.out_dir / 'results.json'
        self._records = {}
        self._saved_at = self._seconds_to_save = 0.0
        if overwrite:
            self._remove()
        else:
            self._resume()
        self.save()

    @property
    def names(self) -> dict[Path, str]:
        """The names of the outputs, by image file."""
        return {Path(file): record['name'] for file, record in self._records.items()}

    def __getitem__(self, file: Path) -> dict:
        return self._records[str(file)]

    def outputs(self, name: str) -> dict[str, Path]:
        """Get the paths of an image's label map, overlay and thumbnail, by their folder's name."""
        return {
            folder: self.out_dir / folder / f'{name}{suffix}' for folder, suffix in OUTPUTS.items()
        }

    def is_done(self, file: Path) -> bool:
        """Tell whether an image, as it is now, has been segmented and its outputs are there."""
        record = self._records.get(str(file))
        if record is None or 'error' in record:
            return False
        unchanged = file.is_file() and describe_file(file).items() <= record.items()
        return unchanged and all(path.is_file() for path in self.outputs(record['name']).values())

    def add(self, record: dict) -> None:
        """Add the record of an image, or replace it; see :func:`dynaseg.photos.segment_images`."""
        self._records[record['file']] = record
        # A long collection takes a while to write: rarely enough, then, for it not to matter.
        if time.monotonic() - self._saved_at > self._seconds_to_save / MAX_SAVING_SHARE:
            self.save()

    def save(self) -> None:
        """Write ``results.json`` and ``index.html``."""
        start = time.monotonic()
        records = list(self._records.values())
        lines = ',\n'.join(json.dumps(record) for record in records)
        settings = json.dumps(self.settings)
        with atomic_write(self.path) as temporary:
            temporary.write_text(f'{{"settings": {settings},\n"images": [\n{lines}\n]}}\n', 'utf-8')
        with atomic_write(self.out_dir / 'index.html') as temporary:
            temporary.write_text(render_page(records, self.settings), 'utf-8')
        self._saved_at = time.monotonic()
        self._seconds_to_save = self._saved_at - start

    def _resume(self) -> None:
        if not self.path.exists():
            for folder in OUTPUTS:
                if any((self.out_dir / folder).glob('*')):
                    raise ValueError(
                        f'{self.out_dir / folder} holds files, but {self.path} is missing: '
                        'choose another output folder, or overwrite'
                    )
            return
        try:
            settings, self._records = _load(self.path)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f'{self.path} is damaged or of another program ({error}): '
                'choose another output folder, or overwrite'
            ) from error
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

    def _remove(self) -> None:
        try:
            _, records = _load(self.path)
        except (OSError, ValueError, KeyError, TypeError):
            return
        for record in records.values():
            for path in self.outputs(record['name']).values():
                path.unlink(missing_ok=True)


def describe_file(file: Path) -> dict[str, int]:
    """Describe a file such that a change of its content shows; OSError if it is not there."""
    status = file.stat()
    return {'bytes': status.st_size, 'modified': status.st_mtime_ns}


def _describe_change(key: str, before: object, now: object) -> str:
    if key.endswith('_sha256'):
        return f'the content of the {key.removesuffix("_sha256")} has changed'
    return f'{key} was {before!r}, is {now!r}'


def _load(path: Path) -> tuple[dict, dict[str, dict]]:
    """Load settings and records, checking all that is relied on."""
    content = json.loads(path.read_text('utf-8'))
    settings, records = content['settings'], content['images']
    if not isinstance(settings, dict):
        raise TypeError('its settings are no object')
    for record in records:
        name = record['name']
        if Path(name).name != name or not isinstance(record['file'], str):
            raise ValueError(f'{name!r} is no name of an output')
        if 'error' not in record and not {'bytes', 'modified'} <= record.keys():
            raise ValueError(f'the record of {record["file"]} is incomplete')
    return settings, {record['file']: record for record in records}

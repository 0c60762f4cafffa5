"""Turning uploaded files into pictures, in a separate process that limits can end."""

import pickle
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory

from dynaseg.app.picture import Picture
from dynaseg.io.reading import ImageReadError, read_header, read_image
from dynaseg.photos.regions import find_hierarchy
from dynaseg.photos.segment import TOO_LARGE, Predictor, explained
from dynaseg.photos.workers import Worker, WorkerDied


class Opening:
    """Reads and segments an image file.

    Args:
        predictor: segments images in memory.
        max_megapixels: size above which a picture is rejected.
    """

    def __init__(self, predictor: Predictor, max_megapixels: float) -> None:
        self.predictor = predictor
        self.max_megapixels = max_megapixels

    def __call__(self, path: Path) -> Picture:
        """Open a file.

        Raises:
            OSError: if it is not an image or too large; an error that passes between processes.
        """
        try:
            with explained(path.name):
                self._check_size(path)
                image = read_image(path)
                (segmentation,) = self.predictor([image])
                return Picture(path.name, image, find_hierarchy(segmentation))
        except ImageReadError as error:
            raise OSError(f'{path.name}: {error.reason}') from error

    def _check_size(self, path: Path) -> None:
        try:
            megapixels = read_header(path).pixels / 1e6
        except ImageReadError:
            return  # reading it reports this
        if megapixels > self.max_megapixels:
            raise ImageReadError(
                path, f'{megapixels:.3g} megapixels: expected at most {self.max_megapixels:g}'
            )


class Segmenter:
    """Opens one file after another in a process, which is ended when one takes too long.

    Args:
        opening: opens them.
        timeout: seconds after which a picture is given up.

    Attributes:
        folder: for files that are needed as long as the segmenter exists.
    """

    def __init__(self, opening: Opening, timeout: float) -> None:
        self.timeout = timeout
        self._folder = TemporaryDirectory()
        self.folder = Path(self._folder.name)
        self._job = self.folder / 'job'
        self._job.write_bytes(pickle.dumps(opening))
        self._worker: Worker | None = None

    def __call__(self, path: Path) -> Picture:
        """Open a file.

        Raises:
            ValueError: if it is not an image, too large, or takes too long or too much memory.
        """
        if self._worker is None:
            self._worker = Worker(self._job)
        self._worker.start(path)
        try:
            if not wait([self._worker], self.timeout):
                self.close()
                raise ValueError(f'{path.name}: not done within {self.timeout:g} s, given up')
            return self._worker.finish()
        except WorkerDied as error:
            self.close()
            raise ValueError(f'{path.name}: {TOO_LARGE}') from error
        except OSError as error:
            raise ValueError(str(error)) from error

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

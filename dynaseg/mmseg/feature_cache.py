import hashlib
import io
import os
import pickle
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from mmcv.utils import print_log
from torch import Tensor, nn

from dynaseg.io.files import is_whole, write_file
from dynaseg.mmseg.errors import UserError

SUFFIX = '.pt'
STORED = f'*{SUFFIX}*'  # also the unfinished files of a process that was killed
LONGEST_WRITE = 3600  # seconds
DIGEST = re.compile('[0-9a-f]{32}')
GIB = 2**30
MEASUREMENTS = 64  # of a folder's size, while a process fills it


class FeatureCache:
    """Keeps the levels that a frozen backbone computes on disk, by the content of the images.

    Levels are computed in float32, whatever the training's precision, and stored and returned in
    float16 precision, even the first time, so that a training with a cache is the same whether or
    not it finds them there. A file is written completely or not at all; one that cannot be read is
    recomputed. Several processes may share a folder.

    Args:
        backbone: the backbone. Levels are distinguished by its weights at the first call.
        settings: what levels depend on besides weights and pixels, as text.
        folder: where levels are kept: one subfolder per network and settings, named by their
            digest, with one file per image.
        max_gib: limit of the folder's size, in GiB. When it is reached, levels of other networks
            are removed, least recently used first; after that, or when the disk is full, no more
            are stored. What other processes store meanwhile is measured now and then.

    Raises:
        ValueError: if the backbone is trained, so that its levels change, or ``max_gib`` is not
            positive.

    Examples:
        >>> import tempfile
        >>> pixels = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     cache = FeatureCache(nn.Identity(), 'as it is', folder)
        ...     first, = cache(pixels, lambda pixels: [torch.ones(1, 2, 1, 1)])
        ...     again, = cache(pixels, lambda pixels: [torch.zeros(1, 2, 1, 1)])
        >>> torch.equal(first, again)
        True
    """

    def __init__(
        self,
        backbone: nn.Module,
        settings: str,
        folder: str | os.PathLike,
        max_gib: float = 8.0,
    ) -> None:
        if not max_gib > 0:
            raise ValueError(f'max_gib must be positive, got {max_gib!r}')
        if any(weight.requires_grad for weight in backbone.parameters()):
            raise ValueError(
                'only the levels of a frozen backbone can be kept: leave it out, or set '
                'frozen=True (frozen_stages and norm_cfg.requires_grad of a ResNet)'
            )
        self.backbone = backbone
        self.settings = settings
        self.root = Path(folder)
        self.limit = max_gib * GIB
        self.folder = None
        self.used = 0
        self.is_full = False

    def forget_weights(self) -> None:
        """Look for the folder again at the next call: the backbone has other weights."""
        self.folder = None

    def _open(self) -> None:
        self.folder = self.root / digest(self.settings, *self.backbone.state_dict().values())
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f'feature_cache.folder: {error}') from error
        self._measure_all()

    def _measure_all(self) -> None:
        self.used = sum(self._measure(folder) for folder in self._list_folders())
        self.unmeasured = 0

    def __call__(self, images: Tensor, compute: Callable[[Tensor], list[Tensor]]) -> list[Tensor]:
        """Get the levels of images, float32, on their device.

        Args:
            images: pixels, (N, 3, H, W).
            compute: computes the levels of an image, (1, 3, H, W).

        Returns:
            The levels, each (N, C, h, w).
        """
        if self.folder is None:
            self._open()
        with suppress(OSError):  # removed, or only readable
            os.utime(self.folder)  # or others would take it for one that nobody uses
        return _join([self._get(image, compute) for image in images.split(1)])

    @torch.no_grad()
    def _get(self, image: Tensor, compute: Callable[[Tensor], list[Tensor]]) -> list[Tensor]:
        path = self.folder / f'{digest_pixels(image)}{SUFFIX}'
        levels = _read(path) if path.is_file() else None
        if levels is None:
            with torch.autocast(image.device.type, enabled=False):
                exact = compute(image)
            levels = [level.half().cpu() for level in exact]
            if not all(level.isfinite().all() for level in levels):  # beyond float16
                return exact
            self._store(path, levels)
        return [level.to(image.device, torch.float32) for level in levels]

    def _store(self, path: Path, levels: list[Tensor]) -> None:
        if self.is_full:
            return
        buffer = io.BytesIO()
        torch.save(levels, buffer)
        content = buffer.getvalue()
        if self.used + len(content) > self.limit or self.unmeasured > self.limit / MEASUREMENTS:
            self._measure_all()
        if self.used + len(content) > self.limit:
            self._remove_others(len(content))
        if self.used + len(content) > self.limit:
            self._give_up('it is full')
            return
        try:
            write_file(path, content)
        except OSError as error:
            self._give_up(str(error))
            return
        self.used += len(content)
        self.unmeasured += len(content)

    def _give_up(self, reason: str) -> None:
        print_log(f'{self.root}: further levels are not stored ({reason})', 'dynaseg')
        self.is_full = True

    def _remove_others(self, size: int) -> None:
        """Remove other networks' levels, least recently used first, until ``size`` bytes fit."""
        others = [folder for folder in self._list_folders() if folder != self.folder]
        for folder in sorted(others, key=lambda folder: folder.stat().st_mtime):
            if self.used + size <= self.limit:
                break
            self.used -= self._measure(folder)
            for path in folder.glob(STORED):
                if path.suffix == SUFFIX or _is_left(path):
                    path.unlink(missing_ok=True)

    def _list_folders(self) -> list[Path]:
        """List the networks' folders; anything else in there is left alone."""
        return [path for path in self.root.iterdir() if DIGEST.fullmatch(path.name)]

    @staticmethod
    def _measure(folder: Path) -> int:
        sizes = 0
        for path in folder.glob(STORED):
            with suppress(FileNotFoundError):  # another process may have just removed it
                sizes += path.stat().st_size
        return sizes


class LevelMemory:
    """Keeps the levels of a frozen backbone and neck in memory, by the content of the images.

    Args:
        neck: the neck. When its weights or buffers change, levels are recomputed.
        max_gib: limit in GiB, beyond which further images are computed each time.

    Examples:
        >>> memory = LevelMemory(nn.BatchNorm2d(2).eval())
        >>> pixels = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
        >>> first, = memory(pixels, lambda pixels: [torch.ones(1, 2, 1, 1)])
        >>> again, = memory(pixels, lambda pixels: [torch.zeros(1, 2, 1, 1)])
        >>> torch.equal(first, again)
        True
    """

    def __init__(self, neck: nn.Module, max_gib: float = 0.5) -> None:
        self.neck = neck
        self.limit = max_gib * GIB
        self.used = 0
        self.state = ''
        self.levels = {}

    def forget_weights(self) -> None:
        """Recompute all levels: the backbone has other weights."""
        self.state = ''

    def __call__(
        self, images: Tensor, compute: Callable[[Tensor], Sequence[Tensor]]
    ) -> list[Tensor]:
        """Get the levels of images, (N, 3, H, W); see :class:`FeatureCache`."""
        autocast = torch.is_autocast_enabled(images.device.type)
        state = digest(f'{images.device} {autocast}', *self.neck.state_dict().values())
        if state != self.state:
            self.state, self.levels, self.used = state, {}, 0
        return _join([self._get(image, compute) for image in images.split(1)])

    @torch.no_grad()
    def _get(
        self, image: Tensor, compute: Callable[[Tensor], Sequence[Tensor]]
    ) -> Sequence[Tensor]:
        key = digest_pixels(image)
        levels = self.levels.get(key)
        if levels is None:
            levels = compute(image)
            size = sum(level.nbytes for level in levels)
            if self.used + size <= self.limit:
                self.levels[key] = levels
                self.used += size
        return levels


def _is_left(path: Path) -> bool:
    """Tell an unfinished file whose writer was killed from one that is being written."""
    try:
        return time.time() - path.stat().st_mtime > LONGEST_WRITE
    except FileNotFoundError:
        return False


def _read(path: Path) -> list[Tensor] | None:
    """Read the levels of an image, or None if the file is damaged."""
    error = 'it is damaged'
    try:
        content = io.BytesIO(path.read_bytes())
        if is_whole(content):  # PyTorch ignores the checksums
            content.seek(0)
            return torch.load(content, map_location='cpu', weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as found:
        error = found
    print_log(f'{path} cannot be read and is recomputed: {error}', 'dynaseg')
    return None


def _join(images: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Join the levels of images into a batch."""
    return [torch.cat(level) for level in zip(*images, strict=True)]


def digest_pixels(image: Tensor) -> str:
    """Compute a digest of an image, which is the same for equal pixels of another dtype.

    Examples:
        >>> pixels = torch.arange(6, dtype=torch.uint8)
        >>> digest_pixels(pixels) == digest_pixels(pixels.float())
        True
        >>> digest_pixels(pixels) == digest_pixels(pixels + 0.5)
        False
    """
    whole = image.byte()  # as in files; bytes are the fastest to digest
    return digest(whole if torch.equal(whole, image) else image)


def digest(*values: Tensor | str) -> str:
    """Compute a digest of tensors and strings: of values, shapes and dtypes.

    Examples:
        >>> digest(torch.zeros(2)) == digest(torch.zeros(2)), digest(torch.zeros(2)) == digest('a')
        (True, False)
    """
    total = hashlib.blake2b(digest_size=16)
    for value in values:
        if isinstance(value, Tensor):
            total.update(f'{value.dtype}{tuple(value.shape)}'.encode())
            total.update(value.detach().cpu().contiguous().numpy().tobytes())
        else:
            total.update(f'{len(value)}:{value}'.encode())
    return total.hexdigest()

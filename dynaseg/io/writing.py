"""Images to bytes and files: label maps as PNG with a palette, photographs as JPEG."""

import io
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from dynaseg.io.files import write_file
from dynaseg.io.palette import distinct_palette

PALETTE_COLOURS = 256
MAX_LABELS = 2**24
COMPRESS_LEVEL = 1  # label maps become hardly smaller at more, and take several times as long
JPEG_QUALITY = 90
PHOTO_QUALITY = 95
MAX_JPEG_SIZE = 65500  # pixels of a side


def write_label_map(path: Path, labels: np.ndarray) -> None:
    """Write a label map, integers from 0, (H, W), as :func:`encode_label_map` makes it.

    Raises:
        ValueError: if labels are negative or above 16,777,215; it names the file.
        OSError: if it cannot be written as a whole.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, 'few.png')
        ...     write_label_map(path, np.array([[0, 0, 255]]))
        ...     np.array(Image.open(path))
        ...     path = Path(folder, 'many.png')
        ...     write_label_map(path, np.array([[0, 255, 256]]))
        ...     np.array(Image.open(path)) @ [1, 256, 65536]
        array([[  0,   0, 255]], dtype=uint8)
        array([[  0, 255, 256]])
    """
    try:
        content = encode_label_map(labels)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    write_file(path, content)


def encode_label_map(labels: np.ndarray) -> bytes:
    """Encode a label map as PNG that shows its labels in colours.

    Up to 256 labels make a palette PNG of 8 bits, which ``np.array(Image.open(path))`` reads. More
    do not fit a palette, and 16 bits of grey would look black: they make the RGB PNG of COCO's
    panoptic annotations, in which a label is R + 256 G + 65536 B, and which
    ``np.array(Image.open(path)) @ [1, 256, 65536]`` reads. :func:`read_label_map` reads both.

    Args:
        labels: integers from 0, (H, W).

    Returns:
        The content of the file.

    Raises:
        ValueError: if labels are negative or above 16,777,215.
    """
    low, high = labels.min(), labels.max()
    if low < 0 or high >= MAX_LABELS:
        raise ValueError(
            f'labels must lie in 0 to {MAX_LABELS - 1} to be written, got {low} to {high}'
        )
    if high < PALETTE_COLOURS:
        image = Image.fromarray(labels.astype(np.uint8))
        image.putpalette(_palette())
    else:
        parts = labels.astype('<u4', order='C').view(np.uint8).reshape(*labels.shape, 4)
        image = Image.fromarray(np.ascontiguousarray(parts[..., :3]))
    return encode_png(image)


def read_label_map(path: Path) -> np.ndarray:
    """Read a label map that :func:`write_label_map` wrote; integers, (H, W)."""
    with Image.open(path) as image:
        values = np.array(image)
    return values if values.ndim == 2 else values @ [1, 256, 65536]


def encode_png(image: Image.Image) -> bytes:
    """Encode an image as PNG, fast rather than small."""
    buffer = io.BytesIO()
    image.save(buffer, 'PNG', compress_level=COMPRESS_LEVEL)
    return buffer.getvalue()


def encode_jpeg(image: Image.Image) -> bytes:
    """Encode an image as JPEG that is to be looked at.

    It is encoded in memory, since Pillow's writer of JPEG files passes over what a full disk does
    not take.
    """
    buffer = io.BytesIO()
    image.save(buffer, 'JPEG', quality=JPEG_QUALITY, optimize=True)
    return buffer.getvalue()


def encode_photo(image: Image.Image) -> bytes:
    """Encode an image as JPEG that is to be worked with, or as PNG where it is too large."""
    if max(image.size) > MAX_JPEG_SIZE:
        return encode_png(image)
    buffer = io.BytesIO()
    image.save(buffer, 'JPEG', quality=PHOTO_QUALITY, subsampling='4:4:4')
    return buffer.getvalue()


@cache
def _palette() -> bytes:
    return distinct_palette(PALETTE_COLOURS).tobytes()

"""Values beyond 8 bits, as cameras, microscopes and aerial surveys have them."""

import logging
from collections.abc import Callable
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image

ORIENTATION_TAG = 0x0112  # of TIFF and EXIF
_FULL_SCALES = (1, 255, 1023, 4095, 16383, 65535)
_PROFILE_TAG = 34675  # of TIFF: an ICC profile
_ALPHA = (1, 2)  # of TIFF's ExtraSamples: other bands are no transparency
WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2  # of its PhotometricInterpretation


_KIND_TAG, _DNG_TAG = 254, 50706  # of TIFF: NewSubfileType, DNGVersion
_REDUCED = 1  # bit of the former: a picture that is a small version of another
_RAW_SUFFIXES = (
    *('.3fr', '.arw', '.cr2', '.dcr', '.dng', '.erf', '.fff', '.iiq', '.kdc'),
    *('.mef', '.mos', '.nef', '.nrw', '.pef', '.sr2', '.srf', '.srw'),
)
RAW = 'camera raw, of which only a thumbnail could be read: convert it first, to TIFF or JPEG'


class UnsupportedTiffError(ValueError):
    """A TIFF that is whole, but of a kind that is not read in full precision."""


def to_8_bits(values: np.ndarray) -> np.ndarray:
    """Scale values to 0 to 255, as :func:`dynaseg.io.reading.read_image` documents.

    Args:
        values: integers or floating point, of any shape.

    Returns:
        uint8, of the same shape.

    Examples:
        >>> to_8_bits(np.array([0, 1000, 4095]))  # 12 bits
        array([  0,  62, 255], dtype=uint8)
    """
    scales = _FULL_SCALES if values.dtype.kind == 'f' else _FULL_SCALES[1:]
    values = np.nan_to_num(values.astype(np.float64), copy=False, posinf=0, neginf=0)
    low, high = values.min(), values.max()
    scale = next((scale for scale in scales if high <= scale), None)
    if low < 0 or scale is None:
        values -= low
        scale = max(high - low, np.finfo(float).tiny)
    values /= scale
    values *= 255
    return np.round(values, out=values).astype(np.uint8)


def is_raw(path: Path, get_tag: Callable[[int], object]) -> bool:
    """Tell whether a TIFF is camera raw, the first picture of which is no photograph.

    Args:
        path: the file.
        get_tag: gives the value of a tag of the first picture, None if it has none.
    """
    kind = get_tag(_KIND_TAG)
    is_thumbnail = isinstance(kind, int) and bool(kind & _REDUCED)
    is_named_raw = path.suffix.lower() in _RAW_SUFFIXES
    return is_thumbnail or is_named_raw or get_tag(_DNG_TAG) is not None


def read_deep_tiff(path: str | PathLike) -> Image.Image:
    """Read the first picture of a TIFF in full precision, which Pillow does for grey alone.

    Args:
        path: the file.

    Returns:
        Its first three bands or, where there are fewer, its first one: RGB or grey, with alpha
        where a band is its transparency; scaled by :func:`to_8_bits`, all bands alike. Its EXIF
        data has the orientation, and its ``info`` the ICC profile, if there is one.

    Raises:
        UnsupportedTiffError: if it is camera raw, its colours are of another kind, or its
            compression needs ``imagecodecs``.
        ValueError: if it is damaged, or too large; see :func:`dynaseg.io.reading.read_image`.
    """
    import tifffile  # slow to import, and few need it

    logging.getLogger('tifffile').setLevel(logging.CRITICAL)  # what is damaged is an error here
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        if is_raw(Path(path), page.tags.valueof):
            raise UnsupportedTiffError(RAW)
        if page.photometric not in (WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
            raise UnsupportedTiffError(f'its colours are {page.photometric.name}')
        limit = Image.MAX_IMAGE_PIXELS
        if limit is not None and page.imagewidth * page.imagelength > 2 * limit:
            raise Image.DecompressionBombError
        try:
            bands = page.asarray().reshape(page.shaped)[:, 0]  # (S, H, W, s), S or s is 1
        except (ValueError, NotImplementedError, ImportError) as error:
            if not (isinstance(error, ImportError) or 'imagecodecs' in str(error)):
                raise
            needed = 'its compression needs imagecodecs: pip install imagecodecs'
            raise UnsupportedTiffError(needed) from error
        orientation = page.tags.valueof(ORIENTATION_TAG, 1)
        profile = page.tags.valueof(_PROFILE_TAG)
    bands = bands.transpose(1, 2, 0, 3).reshape(page.imagelength, page.imagewidth, -1)
    number = 3 if bands.shape[2] >= 3 else 1
    pixels = to_8_bits(bands[..., :number])
    if page.photometric == WHITE_IS_ZERO:
        pixels = 255 - pixels
    if page.extrasamples[:1] and page.extrasamples[0] in _ALPHA and bands.shape[2] > number:
        pixels = np.dstack([pixels, _scale_alpha(bands[..., number])])
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.getexif()[ORIENTATION_TAG] = orientation
    if isinstance(profile, bytes):
        image.info['icc_profile'] = profile
    return image


def read_deep_header(path: str | PathLike) -> tuple[int, int]:
    """Read the number of pixels and the orientation of the first picture of a TIFF."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        orientation = page.tags.valueof(ORIENTATION_TAG, 1)
        return page.imagewidth * page.imagelength, int(orientation)


def _scale_alpha(values: np.ndarray) -> np.ndarray:
    """Scale a band of transparency, whose largest value is opaque, to 8 bits."""
    opaque = np.iinfo(values.dtype).max if values.dtype.kind in 'iu' else 1.0
    return np.round(np.clip(values / opaque, 0, 1) * 255).astype(np.uint8)

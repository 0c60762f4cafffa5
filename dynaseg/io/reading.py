import io
import math
import os
import warnings
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError, features

from dynaseg.io.deep import (
    ORIENTATION_TAG,
    RAW,
    WHITE_IS_ZERO,
    UnsupportedTiffError,
    is_raw,
    read_deep_header,
    read_deep_tiff,
    to_8_bits,
)
from dynaseg.io.files import DAMAGE

try:
    import pillow_heif
except ImportError:
    pillow_heif = None
else:
    pillow_heif.register_heif_opener()

FORMATS = (
    *('JPEG', 'PNG', 'TIFF', 'WEBP', 'BMP', 'GIF'),
    *['AVIF'] * bool(features.check('avif')),
    *['HEIF'] * (pillow_heif is not None),
)

_BITS_TAG, _PHOTOMETRIC_TAG = 258, 262  # of TIFF
_TIFF_MAGIC = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ImageReadError(ValueError):
    """An image file that cannot be read.

    Args:
        path: the file.
        reason: why, as text.
    """

    def __init__(self, path: str | PathLike, reason: str) -> None:
        super().__init__(f'{path}: {reason}')
        self.path = Path(path)
        self.reason = reason


LIMIT_VARIABLE = 'DYNASEG_MAX_MEGAPIXELS'
if limit_text := os.environ.get(LIMIT_VARIABLE):  # which processes that read side by side inherit
    try:
        limit = float(limit_text)
    except ValueError:
        limit = math.nan
    if not limit > 0:
        raise ValueError(f'{LIMIT_VARIABLE} must be a number of megapixels, got {limit_text!r}')
    Image.MAX_IMAGE_PIXELS = None if math.isinf(limit) else max(int(limit * 1e6 / 2), 1)


def read_image(path: str | PathLike, apply_profile: bool = True) -> np.ndarray:
    """Read a photograph as it is meant to be seen.

    JPEG, PNG, TIFF, WebP, BMP, GIF, AVIF (where Pillow has it) and HEIC (where pillow-heif is
    installed), recognised by their content. Of a file with several pictures the first is read, and
    of more than three bands the first three. EXIF orientation is applied; colours of an embedded
    profile are brought to sRGB; transparency is laid on white; grey, palette and CMYK become RGB.
    Values beyond 8 bits (16-bit, 32-bit, floating point) are divided by the smallest of 1 (floating
    point alone), 255, 1023, 4095, 16383 and 65535 that reaches the brightest, so that the 10, 12
    and 14 bits of cameras and microscopes use the full range; where none does, or a value is
    negative, the range between the extremes is stretched. NaN and infinities become 0. (Colour PNGs
    of 16 bits are divided by 65535: Pillow reads their upper 8 bits.)

    Args:
        path: the file.
        apply_profile: whether to bring colours to sRGB; otherwise values are as they are stored.

    Returns:
        RGB image, uint8, (H, W, 3).

    Raises:
        ImageReadError: if the file is absent, empty, damaged, truncated, of another format, camera
            raw in a TIFF (which begins with a thumbnail), or has more pixels than Pillow allows
            (2 * Image.MAX_IMAGE_PIXELS), a bomb perhaps; the environment variable
            DYNASEG_MAX_MEGAPIXELS sets another limit.
        MemoryError: if it does not fit the memory that is free.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new('L', (3, 2), 128).save(f'{folder}/grey.png')
        ...     read_image(f'{folder}/grey.png').shape
        (2, 3, 3)
    """
    path = Path(path)
    try:
        if path.is_dir():
            os.scandir(path).close()  # whose error says why it comes here, rather than its files
        # Opening a pipe or a device would wait for ever.
        if path.exists() and not path.is_file():
            raise ImageReadError(path, 'not a file')
        if path.stat().st_size == 0:
            raise ImageReadError(path, 'the file is empty')
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # Pillow's on metadata that is damaged or unknown
            image = _open_upright(path)
            if not apply_profile:
                image.info.pop('icc_profile', None)
            return _to_rgb(image)
    except ImageReadError:
        raise
    except UnidentifiedImageError as error:
        if path.suffix.lower() in ('.heic', '.heif') and pillow_heif is None:
            reason = 'pillow-heif is needed to read HEIC: pip install pillow-heif'
        else:
            reason = 'not a JPEG, PNG, TIFF, WebP, BMP, GIF, AVIF or HEIC image'
        raise ImageReadError(path, reason) from error
    except Image.DecompressionBombError as error:
        limit = 2 * Image.MAX_IMAGE_PIXELS
        raise ImageReadError(
            path, f'more than {limit / 1e6:g} megapixels; {LIMIT_VARIABLE}=... raises the limit'
        ) from error
    except DAMAGE as error:
        reason = getattr(error, 'strerror', None) or f'damaged ({_describe(error)})'
        raise ImageReadError(path, reason) from error


class Header(NamedTuple):
    """What the file of an image says before it is decoded."""

    pixels: int  # their number
    orientation: int  # as EXIF has it: 1 where it is upright


def read_header(path: str | PathLike) -> Header:
    """Read the header of a file that :func:`read_image` reads.

    Args:
        path: the file.

    Returns:
        Its number of pixels, and how it is to be turned.

    Raises:
        ImageReadError: if it cannot be read.
    """
    path = Path(path)
    try:
        try:
            with Image.open(path, formats=FORMATS) as image:
                return Header(image.width * image.height, _read_orientation(image))
        except UnidentifiedImageError:
            return Header(*read_deep_header(path))
    except (*DAMAGE, Image.DecompressionBombError) as error:
        raise ImageReadError(path, _describe(error)) from error


def turn_back(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn pixels that are upright, (H, W), to where an image's file has them.

    Examples:
        >>> turn_back(np.array([[1, 2, 3]], np.int32), 6)  # which is stored lying on its left side
        array([[3],
               [2],
               [1]], dtype=int32)
    """
    turn = _UPRIGHT.get({6: 8, 8: 6}.get(orientation, orientation))
    return pixels if turn is None else np.asarray(Image.fromarray(pixels).transpose(turn))


def _open_upright(path: Path) -> Image.Image:
    upright = None
    try:
        with Image.open(path, formats=FORMATS) as image:
            is_tiff = image.format == 'TIFF'
            if is_tiff and is_raw(path, image.tag_v2.get):
                raise ImageReadError(path, RAW)
            is_deep = is_tiff and max(image.tag_v2.get(_BITS_TAG, (1,))) > 8
            try:
                image.load()
                upright = turn_upright(image)
            except DAMAGE:
                if not is_deep:
                    raise
            if not is_deep:
                return upright
            if image.tag_v2.get(_PHOTOMETRIC_TAG) == WHITE_IS_ZERO:
                upright = None  # Pillow leaves it inverted
    except UnidentifiedImageError:
        with path.open('rb') as file:
            if file.read(4) not in _TIFF_MAGIC:
                raise
    try:
        return turn_upright(read_deep_tiff(path))
    except UnsupportedTiffError as error:
        if upright is None or _is_cut_off(upright):
            raise ImageReadError(path, str(error)) from error
        return upright


def _is_cut_off(image: Image.Image) -> bool:
    """Tell whether the upper 8 bits, which Pillow takes of 16 in colours, are not those in use."""
    return image.mode.startswith('RGB') and max(high for _, high in image.getextrema()[:3]) < 64


def _describe(error: Exception) -> str:
    return ' '.join(str(error).split()) or type(error).__name__


def turn_upright(image: Image.Image) -> Image.Image:
    """Turn an image as its EXIF orientation says; a damaged EXIF block costs only the turn."""
    turn = _UPRIGHT.get(_read_orientation(image))
    return image if turn is None else image.transpose(turn)


def to_srgb(image: Image.Image) -> Image.Image:
    """Bring colours of an embedded profile, such as a phone's Display P3, to sRGB.

    Args:
        image: grey, RGB, RGBA or CMYK; of other modes it is returned as it is.

    Returns:
        The image as RGB or RGBA, or as it is where it has no profile or a damaged one, or is sRGB.
    """
    content = image.info.get('icc_profile')
    if not content or image.mode not in ('L', 'RGB', 'RGBA', 'CMYK'):
        return image
    try:
        profile = ImageCms.getOpenProfile(io.BytesIO(content))
        if 'sRGB' in ImageCms.getProfileDescription(profile):
            return image
        if image.mode == 'L' and profile.profile.xcolor_space.strip() != 'GRAY':
            image = image.convert('RGB')
        mode = 'RGBA' if image.mode == 'RGBA' else 'RGB'
        return ImageCms.profileToProfile(
            image, profile, ImageCms.createProfile('sRGB'), outputMode=mode
        )
    except (ImageCms.PyCMSError, OSError):  # a damaged profile costs only itself
        return image


def _read_orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ORIENTATION_TAG, 1)
    except DAMAGE:
        return 1


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith(('I', 'F')):
        profile = image.info.get('icc_profile')
        image = Image.fromarray(to_8_bits(np.asarray(image)))
        image.info['icc_profile'] = profile
    if image.has_transparency_data:
        is_grey = image.mode in ('L', 'LA')
        image = image.convert('RGBA')
        if is_grey:  # which its profile is of
            alpha = image.getchannel('A')
            image = to_srgb(image.getchannel('R')).convert('RGB')
            image.putalpha(alpha)
        else:
            image = to_srgb(image)
        image = Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image)
    elif image.mode == 'P':
        image = image.convert('RGB')
    return np.array(to_srgb(image).convert('RGB'))

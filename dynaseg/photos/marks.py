"""Marks that a person makes on an image: clicks, lines, polygons, or a painted PNG."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, UnidentifiedImageError
from scipy import ndimage

from dynaseg.io.files import DAMAGE
from dynaseg.io.reading import ImageReadError, read_image, to_srgb, turn_upright

SUBJECT, BACKGROUND = 0, 1
WIDTH_SHARE = 0.006  # of the longer side: how wide clicks and lines are
SAME = 48  # of 255: the same pixel of a photograph, as another program decodes it, differs by less
SOFT = 3  # pixels: how wide the edge between two strokes may be in which colours mix
STRONG = 128  # of 255, between a colour's channels: less is the soft edge of a stroke
_POINT = re.compile(r'\s*(-?\d+(?:\.\d+)?)\s*,\s*(-?\d+(?:\.\d+)?)\s*')


@dataclass(frozen=True)
class Mark:
    """A mark on an image.

    Attributes:
        label: that it gives, at least 0; for cut-outs 0 is the subject, 1 the background.
        points: of it, x from the left and y from the top in pixels, at least one. One is a click,
            several are the corners of a line.
        filled: whether they are those of a polygon, whose inside is marked.

    Raises:
        ValueError: if the label is negative, or there are too few points.
    """

    label: int
    points: Sequence[tuple[float, float]]
    filled: bool = False

    def __post_init__(self) -> None:
        if self.label < 0:
            raise ValueError(f'label must be at least 0, got {self.label}')
        least = 3 if self.filled else 1
        if len(self.points) < least:
            raise ValueError(f'points must be at least {least}, got {len(self.points)}')


def parse_mark(text: str, label: int) -> Mark:
    """Read a mark as the command line has it: ``X,Y``, ``X,Y X,Y ...`` or ``polygon:X,Y ...``.

    Raises:
        ValueError: if it is none.

    Examples:
        >>> parse_mark('12,30 40,35.5', SUBJECT).points
        ((12.0, 30.0), (40.0, 35.5))
        >>> parse_mark('polygon:0,0 9,0 9,9', BACKGROUND).filled
        True
    """
    corners = text.removeprefix('polygon:')
    matches = [_POINT.fullmatch(part) for part in corners.split()]
    is_polygon = corners != text
    if len(matches) < (3 if is_polygon else 1) or None in matches:
        raise ValueError(
            f"a mark must be 'X,Y', 'X,Y X,Y ...' or 'polygon:X,Y X,Y X,Y ...', got {text!r}"
        )
    points = tuple((float(match[1]), float(match[2])) for match in matches)
    return Mark(label, points, filled=is_polygon)


def draw_marks(marks: Iterable[Mark], size: tuple[int, int]) -> np.ndarray:
    """Draw marks, later ones over earlier ones.

    Args:
        marks: the marks, whose points lie in the image.
        size: height and width (H, W) of the image.

    Returns:
        Label of each marked pixel, and -1 for the others, int32, (H, W).

    Raises:
        ValueError: if a point lies outside of the image.

    Examples:
        >>> draw_marks([Mark(0, [(1, 0)]), Mark(1, [(3, 0), (4, 0)])], (1, 6))
        array([[-1,  0, -1,  1,  1, -1]], dtype=int32)
    """
    height, width = size
    canvas = Image.new('I', (width, height), -1)
    draw = ImageDraw.Draw(canvas)
    thickness = max(1, round(WIDTH_SHARE * max(size)))
    radius = (thickness - 1) / 2
    for mark in marks:
        for x, y in mark.points:
            if not (0 <= x < width and 0 <= y < height):
                raise ValueError(
                    f'a mark at {x:g},{y:g} lies outside the image, {width} x {height}'
                )
            if not mark.filled:
                draw.point((x, y), fill=mark.label)  # the least circle of Pillow's is none
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=mark.label)
        points = [tuple(point) for point in mark.points]
        if mark.filled:
            draw.polygon(points, fill=mark.label)
        elif len(points) > 1:
            draw.line(points, fill=mark.label, width=thickness)
    return np.asarray(canvas).astype(np.int32)


def read_marks(
    path: str | PathLike, photo: np.ndarray, file: str | PathLike | None = None
) -> np.ndarray:
    """Read marks that were painted in an image editor.

    In a grey or palette PNG, also with transparency, 0 is not marked, and 1, 2, ... are labels 0,
    1, ...: for cut-outs, 1 is the subject and 2 the background. In a PNG of colours green is the
    subject, red the background, and what is transparent, black or white is not marked. They may
    have been painted over the photograph itself: see :func:`erase_photo`. Colours of an embedded
    profile are brought to sRGB, as those of photographs are.

    Args:
        path: the file.
        photo: the image that was marked, RGB, uint8, (H, W, 3).
        file: of the image, if there is one: some editors keep its values, but not its profile.

    Returns:
        Label of each marked pixel, and -1 for the others, int32, (H, W).

    Raises:
        ImageReadError: if it is no PNG, is of another size, or has other colours.
    """
    path = Path(path)
    try:
        with Image.open(path, formats=('PNG',)) as image:
            image.load()
            pixels = _read_pixels(turn_upright(image))
    except UnidentifiedImageError as error:
        reason = 'marks must be a PNG, in which colours are as they were painted'
        raise ImageReadError(path, reason) from error
    except (*DAMAGE, Image.DecompressionBombError) as error:
        raise ImageReadError(path, f'the marks cannot be read: {error}') from error
    if pixels.shape[:2] != photo.shape[:2]:
        found, expected = (f'{one[1]} x {one[0]}' for one in (pixels.shape, photo.shape))
        raise ImageReadError(path, f'the marks are {found} pixels, the image is {expected}')
    if pixels.ndim == 2:
        return pixels.astype(np.int32) - 1
    photos = [photo] if file is None else [photo, read_image(file, apply_profile=False)]
    try:
        return label_colours(erase_photo(pixels, photos))
    except ValueError as error:
        raise ImageReadError(path, str(error)) from error


def _read_pixels(image: Image.Image) -> np.ndarray:
    """Get the values of a grey or palette image, (H, W), or RGBA, (H, W, 4)."""
    if image.mode == 'LA':
        grey, alpha = np.array(image).transpose(2, 0, 1)
        return np.where(alpha >= 128, grey, 0)
    is_grey = image.mode in ('L', 'P') or image.mode.startswith('I')
    return np.array(image if is_grey else to_srgb(image.convert('RGBA')))


def label_colours(painted: np.ndarray) -> np.ndarray:
    """Label painted pixels: green ones are the subject, red ones the background.

    Args:
        painted: RGBA, uint8, (H, W, 4). What is transparent, black, grey or white is not marked,
            nor are soft edges between the two colours.

    Returns:
        Label of each marked pixel, and -1 for the others, int32, (H, W).

    Raises:
        ValueError: if pixels have other colours; it says where.
    """
    is_coloured = (painted[..., 3] >= 128) & (np.ptp(painted[..., :3], axis=2) >= 64)
    is_marked = is_coloured & ~_is_strange(painted)
    labels = np.where(painted[..., 1] > painted[..., 0], SUBJECT, BACKGROUND)
    labels = np.where(is_marked, labels, -1).astype(np.int32)
    is_strange = is_coloured & ~is_marked
    if is_strange.any():
        is_blue = painted[..., 2] >= painted[..., :2].max(axis=2)
        is_strange &= is_blue | ~(_is_near(labels == SUBJECT) & _is_near(labels == BACKGROUND))
    strange = np.argwhere(is_strange)
    if len(strange):
        y, x = strange[0]
        raise ValueError(
            f'the colour at {x},{y} is neither green (subject) nor red (background); paint on an '
            'empty layer of the size of the photograph, or over the photograph itself'
        )
    return labels


def erase_photo(painted: np.ndarray, photos: Sequence[np.ndarray]) -> np.ndarray:
    """Leave the marks alone of a photograph that was painted over.

    Args:
        painted: RGBA, uint8, (H, W, 4).
        photos: the photograph, as an editor may have decoded it, each RGB, uint8, (H, W, 3).

    Returns:
        The first; where most of it is as in one of the photographs, that is transparent, and so are
        the soft edges of strokes, in which colours mix.
    """
    colours, is_opaque = painted[..., :3].astype(np.int16), painted[..., 3] >= 128
    is_photo = max(
        (np.abs(colours - photo).max(axis=2) < SAME for photo in photos),
        key=lambda is_same: np.count_nonzero(is_same & is_opaque),
    )
    if (is_photo & is_opaque).mean() <= 0.5:
        return painted
    is_soft = _is_strange(painted) | (np.ptp(painted[..., :3], axis=2) < STRONG)
    marks = painted.copy()
    marks[is_photo | is_soft, 3] = 0
    return marks


def _is_near(mask: np.ndarray) -> np.ndarray:
    return ndimage.binary_dilation(mask, iterations=SOFT)


def _is_strange(painted: np.ndarray) -> np.ndarray:
    """Tell where colours are neither green nor red."""
    red, green, blue = painted[..., :3].astype(np.int32).transpose(2, 0, 1)
    return (np.abs(green - red) < 64) | (blue >= np.maximum(red, green))

"""One picture segmented by what a person marked on it."""

import os
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

import numpy as np
import torch

from dynaseg.api import load_image, load_predictor
from dynaseg.io.reading import read_image
from dynaseg.photos.cutting import name_cut_out, write_cut_out
from dynaseg.photos.marks import (
    BACKGROUND,
    SUBJECT,
    Mark,
    draw_marks,
    parse_mark,
    read_marks,
)
from dynaseg.photos.outputs import check_out_dir
from dynaseg.photos.segment import explained

NEEDED = {
    SUBJECT: 'on the subject (--keep X,Y; green or 1 in a PNG)',
    BACKGROUND: 'beside it (--drop X,Y; red or 2 in a PNG)',
}


def segment_marked(
    image: np.ndarray | str | PathLike,
    marks: np.ndarray | str | PathLike | Iterable[Mark],
    rest: int | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Segment one picture by what a person marked on it: cut a subject out, say.

    Args:
        image: see :func:`segment_image`.
        marks: clicks, lines and polygons (:class:`dynaseg.photos.marks.Mark`), or a PNG of them
            (:func:`dynaseg.photos.marks.read_marks`), or an array of the label of each marked
            pixel, from 0, and -1 for the others, integers, (H, W).
        rest: the label of what no mark touches, such as 1 for the background of a cut-out; None
            where it is to have the label of what is marked and most alike.
        device: see :func:`load_predictor`.
        seed: see :func:`load_predictor`.

    Returns:
        Label of each pixel, int32, (H, W). Marked pixels have theirs.

    Raises:
        ValueError: if the image or the marks are invalid.

    Examples:
        >>> image = np.zeros((12, 16, 3), np.uint8)
        >>> image[:, 8:] = 255
        >>> segment_marked(image, [Mark(0, [(2, 2)]), Mark(1, [(14, 6)])], device='cpu')[0]
        array([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1], dtype=int32)
    """
    file = image if isinstance(image, (str, PathLike)) else None
    image = load_image(image)
    size = image.shape[:2]
    if isinstance(marks, (str, PathLike)):
        marks = read_marks(marks, image, file)
    elif not isinstance(marks, np.ndarray):
        marks = draw_marks(marks, size)
    predictor, _ = load_predictor(device=device, seed=seed)
    return predictor.segment_marked(image, marks, rest).labels


def cut_out(
    image: str | PathLike,
    keep: Iterable[str] = (),
    drop: Iterable[str] = (),
    marks: str | PathLike | None = None,
    out_dir: str | PathLike = 'outputs',
    device: str | torch.device | None = None,
    seed: int = 0,
) -> list[Path]:
    """Cut a marked subject out of a photograph, into files.

    Args:
        image: the file.
        keep: marks of the subject, as :func:`dynaseg.photos.marks.parse_mark` reads them.
        drop: marks of what is around it.
        marks: a PNG of marks; those of ``keep`` and ``drop`` are drawn over them.
        out_dir: folder of the outputs, whose names are those of
            :func:`dynaseg.photos.cutting.name_cut_out`.
        device: see :func:`load_predictor`.
        seed: see :func:`load_predictor`.

    Returns:
        The files that were written.

    Raises:
        ValueError: if the image or the marks are invalid, or there are not both of the subject and
            of what is around it.
        OSError: if the files cannot be written, or the memory does not do for the image.
    """
    check_out_dir(out_dir)
    keep, drop = list(keep), list(drop)
    with explained(os.fspath(image)):
        return _cut_out(Path(image), keep, drop, marks, Path(out_dir), device, seed)


def _cut_out(
    image: Path,
    keep: Iterable[str],
    drop: Iterable[str],
    marks: str | PathLike | None,
    out_dir: Path,
    device: str | torch.device | None,
    seed: int,
) -> list[Path]:
    pixels = read_image(image)
    size = pixels.shape[:2]
    drawn = draw_marks(
        [parse_mark(text, SUBJECT) for text in keep]
        + [parse_mark(text, BACKGROUND) for text in drop],
        size,
    )
    if marks is not None:
        drawn = np.where(drawn >= 0, drawn, read_marks(marks, pixels, image))
    found = set(np.unique(drawn).tolist()) - {-1}
    lacking = [words for label, words in NEEDED.items() if label not in found]
    if lacking and keep and drop:
        raise ValueError('marks of --drop cover those of --keep: move them apart')
    if lacking:
        raise ValueError(f'a cut-out needs a mark {" and one ".join(lacking)}')
    if found - NEEDED.keys():
        raise ValueError(f'{marks}: a cut-out takes 1 and 2, got {max(found) + 1}')
    labels = segment_marked(pixels, drawn, BACKGROUND, device, seed)
    return write_cut_out(out_dir, name_cut_out(out_dir, image), pixels, labels)

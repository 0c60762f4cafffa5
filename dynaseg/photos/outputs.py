"""The files of a segmented image, and its record."""

import json
import math
import os
from contextlib import suppress
from hashlib import blake2b
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image

from dynaseg.core.fitting import Fit
from dynaseg.core.labels import find_deepest_pixels
from dynaseg.core.regions.labels import find_region_labels
from dynaseg.io.files import DAMAGE, write_file
from dynaseg.io.palette import distinct_palette
from dynaseg.io.writing import encode_jpeg, encode_label_map, encode_photo
from dynaseg.photos.drawing import draw_overlay
from dynaseg.photos.hierarchy_file import encode_hierarchy
from dynaseg.photos.records import has_records
from dynaseg.photos.regions import RegionChoice, find_detail, find_hierarchy, measure_steps
from dynaseg.photos.viewer import render_full, render_viewer
from dynaseg.predictor import Segmentation

OUTPUTS = {
    'labels': '.png',
    'regions': '.png',
    'hierarchy': '.png',
    'overlays': '.jpg',
    'thumbnails': '.jpg',
    'viewer': '.js',
    'viewer_full': '.js',
}
GEOTIFF_FOLDER = 'geotiff'
SOFTWARE = 'DynaSeg'  # as exports call their maker
_SOFTWARE_TAG = 305  # of TIFF
CUT_OUTS = ('cutouts', 'masks')
RECORDS_NAME = 'results.jsonl'  # beside the folders of outputs
CUT_OUTS_NAME = '.cutouts.jsonl'  # beside those of cut-outs
EXAMPLE_SIZE = 400  # pixels of the longer side at which examples of labels are looked for
DISPLAY_SIZE = 1600  # pixels of the longer side, of what is looked at


def output_paths(out_dir: Path, name: str) -> dict[str, Path]:
    """Get the paths of an image's outputs, by their folder's name."""
    return {folder: out_dir / folder / f'{name}{suffix}' for folder, suffix in OUTPUTS.items()}


def are_as_recorded(out_dir: Path, record: dict) -> bool:
    """Tell whether the outputs of an image are those that its record says were written."""
    try:
        return all(
            path.stat().st_size == record['outputs'][folder][0]
            and describe_content(path.read_bytes()) == record['outputs'][folder]
            for folder, path in output_paths(out_dir, record['name']).items()
        )
    except (OSError, KeyError):
        return False


def describe_content(content: bytes) -> list:
    """Describe the content of a file: its bytes, and a digest of them.

    Examples:
        >>> describe_content(b'region')
        [6, '3537ed74d4bb898d']
    """
    return [len(content), blake2b(content, digest_size=8).hexdigest()]


def check_out_dir(out_dir: str | PathLike) -> None:
    """Check that the folder of the outputs, which need not exist, can be one.

    Raises:
        ValueError: if it has no name, or is a file.
    """
    if not os.fspath(out_dir):
        raise ValueError("the output folder has no name: expected one, or '.' for the current one")
    if Path(out_dir).exists() and not Path(out_dir).is_dir():
        raise ValueError(f'{out_dir} is a file: the outputs need a folder')


def is_output_folder(folder: Path) -> bool:
    """Tell whether a folder holds outputs of an earlier run."""
    if folder.name not in (*OUTPUTS, GEOTIFF_FOLDER, 'assets'):
        return False
    if not has_records(folder.parent / RECORDS_NAME):  # other tools have a results.jsonl, too
        return False
    # The others are a run's from its start; this one may be a person's.
    return folder.name != GEOTIFF_FOLDER or any(map(_is_export, sorted(folder.glob('*.tif'))[:1]))


def _is_export(path: Path) -> bool:
    with suppress(*DAMAGE), Image.open(path, formats=('TIFF',)) as image:
        return image.tag_v2.get(_SOFTWARE_TAG) == SOFTWARE
    return False


def read_cut_outs(out_dir: Path) -> dict[Path, str]:
    """Read the names of the cut-outs in a folder, by picture."""
    notes, known = out_dir / CUT_OUTS_NAME, {}
    for line in notes.read_text('utf-8', 'replace').splitlines() if notes.is_file() else ():
        with suppress(ValueError, KeyError, TypeError):  # of one that was cut off
            note = json.loads(line)
            if Path(note['name']).name == note['name']:
                known[Path(os.path.abspath(note['file']))] = note['name']
    return known


class OutputWriter:
    """Writes the outputs of images.

    Args:
        out_dir: folder of all outputs.
        choice: which regions are shown.
    """

    def __init__(self, out_dir: Path, choice: RegionChoice) -> None:
        self.out_dir = out_dir
        self.choice = choice

    def __call__(self, name: str, image: np.ndarray, segmentation: Segmentation) -> dict:
        """Write all outputs of an image, each whole or not at all.

        Args:
            name: of the outputs.
            image: RGB, uint8, (H, W, 3).
            segmentation: of it.

        Returns:
            What there is to record of them; ``outputs`` has their bytes and digests.

        Raises:
            OSError: if they cannot be written.
            ValueError: if the labels are not of the image's size.
        """
        if segmentation.labels.shape != image.shape[:2]:
            raise ValueError(
                f'labels of an image {image.shape[:2]} have shape {segmentation.labels.shape}'
            )
        hierarchy = find_hierarchy(segmentation, self.choice.min_area)
        count = self.choice.count(hierarchy)
        regions = hierarchy.cut_to(count)
        photo, rows, columns = _scale_down(image)
        grid = np.ix_(rows, columns)
        colours = leaf_colours = None
        if segmentation.names is not None:  # labels have colours of their own
            palette = distinct_palette(len(segmentation.names))
            colours = palette[find_region_labels(segmentation.labels, regions)]
            leaf_colours = palette[find_region_labels(segmentation.labels, hierarchy.leaves)]
        overlay = draw_overlay(np.asarray(photo), regions[grid], colours=colours)
        thumbnail = encode_jpeg(photo)
        size = image.shape[1::-1]
        leaves = hierarchy.leaves[grid]
        viewer = render_viewer(name, size, thumbnail, leaves, hierarchy, leaf_colours)
        full = encode_photo(Image.fromarray(image))
        contents = {
            'labels': encode_label_map(segmentation.labels),
            'regions': encode_label_map(regions),
            'hierarchy': encode_hierarchy(hierarchy),
            'overlays': encode_jpeg(Image.fromarray(overlay)),
            'thumbnails': thumbnail,
            'viewer': viewer.encode(),
            'viewer_full': render_full(name, full, hierarchy.leaves).encode(),
        }
        for folder, path in output_paths(self.out_dir, name).items():
            write_file(path, contents[folder])
        detail = self.choice.detail
        if segmentation.hierarchy is None:
            detail = None
        elif self.choice.regions is not None:
            detail = find_detail(measure_steps(hierarchy), count)
        return {
            'size': list(size),
            'detail': detail,
            'regions': count,
            'clusters': int(np.count_nonzero(np.bincount(segmentation.labels.ravel()))),
            **_describe_labels(segmentation),
            **_describe_fit(segmentation.fit),
            'outputs': {folder: describe_content(content) for folder, content in contents.items()},
        }


def _scale_down(image: np.ndarray) -> tuple[Image.Image, np.ndarray, np.ndarray]:
    """Scale an image, (H, W, 3), to the size of displays, if it is larger.

    Returns:
        The image, (h, w), and for its rows, (h,), and columns, (w,), the nearest ones of the input.
    """
    height, width = image.shape[:2]
    scale = min(1, DISPLAY_SIZE / max(height, width))
    size = [max(1, round(scale * length)) for length in (width, height)]
    small = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC, reducing_gap=2)
    columns, rows = (
        (2 * np.arange(new) + 1) * old // (2 * new)
        for old, new in zip((width, height), size, strict=True)
    )
    return small, rows, columns


def _describe_labels(segmentation: Segmentation) -> dict[str, dict]:
    """Describe labels that mean the same in every image: how much there is of each, and where."""
    if segmentation.names is None:
        return {}
    names, labels = segmentation.names, segmentation.labels
    counts = np.bincount(labels.ravel())
    step = math.ceil(max(labels.shape) / EXAMPLE_SIZE)
    examples = find_deepest_pixels(labels[::step, ::step])
    return {
        'shares': {
            names[label]: round(float(counts[label] / labels.size), 6)
            for label in np.argsort(-counts, kind='stable')
            if counts[label]
        },
        'examples': {
            names[label]: [step * column, step * row, round(step * radius, 1)]
            for label, (row, column, radius) in examples.items()
        },
    }


def _describe_fit(fit: Fit | None) -> dict[str, object]:
    if fit is None:
        return {
            'iterations': 0,
            'stop_reason': 'trained',
            'min_clusters': 1,
            'clusters_by_iteration': [],
        }
    return {
        'iterations': fit.iterations,
        'stop_reason': fit.stop_reason,
        'min_clusters': fit.min_clusters,
        'clusters_by_iteration': list(fit.num_clusters),
    }

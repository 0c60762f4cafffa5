"""Regions in the formats of other tools, made of the outputs of a run."""

import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage.measure import find_contours

from dynaseg.core.regions.labels import find_region_labels
from dynaseg.io.files import atomic_write, write_file
from dynaseg.io.reading import read_header, turn_back
from dynaseg.io.writing import read_label_map
from dynaseg.photos.outputs import GEOTIFF_FOLDER, SOFTWARE, is_output_folder, output_paths

if TYPE_CHECKING:
    from rasterio import DatasetReader

COCO_NAME = 'coco.json'
INFO = {'info': {'description': 'regions by DynaSeg'}}
SOFTWARE_TAG = {'TIFFTAG_SOFTWARE': SOFTWARE}
CATEGORY = {'id': 1, 'name': 'region', 'supercategory': 'region'}
TOLERANCE = 0.4  # pixels by which polygons may leave the outline; .5 would lose single pixels


def check_coco(out_dir: Path, files: Iterable[Path]) -> None:
    """Check that regions can be exported as :func:`export_coco` does, before there are any.

    Args:
        out_dir: the folder of the outputs.
        files: not used: any image will do.

    Raises:
        ValueError: if there is a ``coco.json`` that is not of DynaSeg.
    """
    path = out_dir / COCO_NAME
    if path.exists() and not is_own_coco(path):
        raise ValueError(_describe_foreign(path))


def is_own_coco(path: Path) -> bool:
    """Tell whether a file is there that :func:`export_coco` wrote."""
    beginning = json.dumps(INFO)[:-1].encode()
    with suppress(OSError), path.open('rb') as file:
        return file.read(len(beginning)) == beginning
    return False


def _describe_foreign(path: Path) -> str:
    return f'{path} is of another program: move it, or choose another folder (--out-dir)'


def export_coco(out_dir: Path, records: Iterable[dict], names: Sequence[str] = ()) -> Path:
    """Write the regions of all images as annotations of COCO's format, ``coco.json``.

    Each region is an annotation with its mask as run-length encoding (RLE, not compressed, which
    pycocotools and the tools that build on it read), bounding box and area. All are of one
    category; where labels have names, those are the categories, and a region has that of most of
    its pixels. An image's ``file_name`` is its path below the folder that all of them share, so the
    photographs may be moved, and other tools ask for that folder.

    Args:
        out_dir: the folder of the outputs.
        records: of its images, as :func:`dynaseg.segment_images` returns them; those that were
            skipped are left out.
        names: of the labels, from 0, where a label means the same in every image.

    Returns:
        The file, which is written whole or not at all, an annotation at a time.
    """
    path = out_dir / COCO_NAME
    done = [
        {key: record[key] for key in ('file', 'name', 'size')}
        for record in records
        if 'error' not in record
    ]
    folder = os.path.commonpath([os.path.dirname(record['file']) for record in done] or ['/'])
    images = [
        {
            'id': number,
            'file_name': os.path.relpath(record['file'], folder),
            'width': record['size'][0],
            'height': record['size'][1],
        }
        for number, record in enumerate(done, start=1)
    ]
    with atomic_write(path) as temporary, temporary.open('w', encoding='utf-8') as file:
        file.write(json.dumps(_head(images, names))[:-1] + ', "annotations": [')
        numbers = count(1)
        for image, record in enumerate(done, start=1):
            paths = output_paths(out_dir, record['name'])
            regions = read_label_map(paths['regions'])
            labels = find_region_labels(read_label_map(paths['labels']), regions) if names else None
            for region, annotation in enumerate(describe_regions(regions)):
                if labels is not None:
                    annotation['category_id'] = int(labels[region]) + 1
                number = next(numbers)
                file.write(',\n' * (number > 1))
                file.write(json.dumps({'id': number, 'image_id': image, **annotation}))
        file.write(']}\n')
    return path


def make_coco(file_name: str, size: tuple[int, int], annotations: Iterable[dict]) -> dict:
    """Make a document of COCO's format of one image.

    Args:
        file_name: of the image.
        size: its height and width (H, W).
        annotations: as :func:`describe_regions` and :func:`describe_mask` give them.
    """
    height, width = size
    image = {'id': 1, 'file_name': file_name, 'width': width, 'height': height}
    numbered = [
        {'id': number, 'image_id': 1, **annotation}
        for number, annotation in enumerate(annotations, start=1)
    ]
    return _head([image]) | {'annotations': numbered}


def _head(images: list[dict], names: Sequence[str] = ()) -> dict:
    categories = [{**CATEGORY, 'id': place, 'name': name} for place, name in enumerate(names, 1)]
    return {
        **INFO,
        'licenses': [],
        'images': images,
        'categories': categories or [CATEGORY],
    }


def describe_regions(regions: np.ndarray) -> Iterator[dict]:
    """Describe regions as annotations of COCO's format, without their numbers and image.

    Args:
        regions: region of each pixel, integers from 0, (H, W).

    Yields:
        An annotation a region.

    Examples:
        >>> first, _ = describe_regions(np.array([[0, 1, 1], [0, 0, 1]]))
        >>> first['segmentation'], first['bbox'], first['area']
        ({'size': [2, 3], 'counts': [0, 2, 1, 1, 2]}, [0, 0, 2, 2], 3)
    """
    height, width = size = list(regions.shape)
    for label, place in enumerate(ndimage.find_objects(regions.astype(np.int32) + 1)):
        if place is None:
            continue
        rows, columns = place
        strip = np.zeros((columns.stop - columns.start, height), dtype=bool)  # COCO runs down them
        strip[:, rows] = (regions[place] == label).T
        before, after = columns.start * height, (width - columns.stop) * height
        yield {
            'category_id': CATEGORY['id'],
            'segmentation': {'size': size, 'counts': encode_mask(strip, before, after)},
            'bbox': [
                columns.start,
                rows.start,
                columns.stop - columns.start,
                rows.stop - rows.start,
            ],
            'area': int(strip.sum()),
            'iscrowd': 0,
        }


def describe_mask(mask: np.ndarray) -> dict:
    """Describe a mask as an annotation of COCO's format with polygons, which can have no holes.

    Args:
        mask: bool, (H, W), not empty.

    Returns:
        The annotation, without its number and image. Its polygons are the outer outlines of the
        mask's parts, within half a pixel; its area and bounding box are those of the mask.

    Examples:
        >>> mask = np.zeros((5, 6), bool)
        >>> mask[1:4, 2:5] = True
        >>> describe_mask(mask)['bbox'], len(describe_mask(mask)['segmentation'])
        ([2, 1, 3, 3], 1)
    """
    from skimage.measure import approximate_polygon  # which loads all of scipy.signal

    polygons = []
    for line in find_contours(np.pad(mask, 1).astype(float), 0.5):
        # In the order of scikit-image holes run the other way, and have a negative area.
        corners = approximate_polygon(line, TOLERANCE)[:-1, ::-1] - 0.5
        x, y = corners.T
        if (x * np.roll(y, 1) - y * np.roll(x, 1)).sum() < 0 and len(corners) >= 3:
            polygons.append(corners.ravel().round(2).tolist())
    (annotation,) = describe_regions(mask - 1)
    return annotation | {'segmentation': polygons}


def encode_mask(mask: np.ndarray, before: int = 0, after: int = 0) -> list[int]:
    """Count the runs of a mask, in its order: how many are off, on, off, and so on.

    Args:
        mask: bool, of any shape.
        before: pixels before it, all off.
        after: pixels after it, all off.

    Returns:
        The lengths of the runs. The first is 0 where the mask begins with what is on.

    Examples:
        >>> encode_mask(np.array([[True, True], [False, True]]))
        [0, 2, 1, 1]
    """
    flat = mask.ravel()
    changes = np.flatnonzero(np.diff(flat, prepend=False))
    if after and flat[-1]:
        changes = np.append(changes, flat.size)
    ends = np.append(before + changes, before + flat.size + after)
    return np.diff(ends, prepend=0).tolist()


def check_geotiff(out_dir: Path, files: Iterable[Path]) -> None:
    """Check that regions can be exported as :func:`export_geotiff` does, before there are any.

    Args:
        out_dir: the folder of the outputs.
        files: the images.

    Raises:
        ImportError: if rasterio is not installed; it says how to install it.
        ValueError: if no image has a georeference, or there are GeoTIFFs that are not of DynaSeg.
    """
    rasterio = _import_rasterio()
    for path in sorted((out_dir / GEOTIFF_FOLDER).glob('*.tif')):
        if not SOFTWARE_TAG.items() <= _read_tags(rasterio, path).items():
            raise ValueError(_describe_foreign(path))
    if not any(_read_georeference(rasterio, file) for file in files):
        raise ValueError('none of the images has a georeference to be kept in a GeoTIFF')


def export_geotiff(out_dir: Path, records: Iterable[dict], names: Sequence[str] = ()) -> Path:
    """Write the regions of images with a georeference as GeoTIFF, ``geotiff/NAME.tif``.

    Args:
        out_dir: the folder of the outputs.
        records: as for :func:`export_coco`. Images without a georeference are left out.
        names: not used: the files hold regions.

    Returns:
        The folder; the files, int32 with the image's coordinate reference system and transform,
        are written whole or not at all.

    Raises:
        ImportError: if rasterio is not installed; it says how to install it.
    """
    rasterio = _import_rasterio()
    folder = out_dir / GEOTIFF_FOLDER
    for record in records:
        place = None if 'error' in record else _read_georeference(rasterio, record['file'])
        if place is None:
            continue
        regions = read_label_map(output_paths(out_dir, record['name'])['regions']).astype(np.int32)
        regions = turn_back(regions, read_header(record['file']).orientation)
        height, width = regions.shape
        settings = {'width': width, 'height': height, 'count': 1, 'dtype': 'int32', **place}
        # In memory first: GDAL passes over a disk that is full.
        with rasterio.MemoryFile() as memory:
            with memory.open(driver='GTiff', compress='lzw', **settings) as file:
                file.write(regions, 1)
                file.update_tags(**SOFTWARE_TAG)
            write_file(folder / f'{record["name"]}.tif', memory.read())
    return folder


def _import_rasterio() -> ModuleType:
    try:
        import rasterio
        import rasterio.errors
    except ImportError as error:
        raise ImportError('GeoTIFF needs rasterio: pip install rasterio') from error
    return rasterio


def _read_georeference(rasterio: ModuleType, path: str | Path) -> dict[str, object] | None:
    """Read the coordinate reference system and transform of an image; None if it has none."""
    with suppress(rasterio.errors.RasterioError), _open_raster(rasterio, path) as image:
        if image.crs is not None:
            return {'crs': image.crs, 'transform': image.transform}
    return None


def _read_tags(rasterio: ModuleType, path: Path) -> dict[str, str]:
    """Read the tags of a GeoTIFF; none if it is damaged."""
    with suppress(rasterio.errors.RasterioError), _open_raster(rasterio, path) as image:
        return image.tags()
    return {}


@contextmanager
def _open_raster(rasterio: ModuleType, path: str | Path) -> Iterator['DatasetReader']:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path) as image:
            yield image


@dataclass(frozen=True)
class Export:
    """A format of other tools.

    Attributes:
        check: raises ValueError or ImportError where the regions of images, of which there are
            none yet, could not be written: of the folder of the outputs, and the images.
        write: writes them, and returns where to: of the folder, the records and the labels' names.
        place: where to, below the folder of the outputs.
        is_own: tells whether DynaSeg has written them there before.
        is_joint: whether it is one file of all images of the folder.
    """

    check: Callable[[Path, Iterable[Path]], None]
    write: Callable[[Path, Iterable[dict], Sequence[str]], Path]
    place: str
    is_own: Callable[[Path], bool]
    is_joint: bool


EXPORTS = {
    'coco': Export(check_coco, export_coco, COCO_NAME, is_own_coco, is_joint=True),
    'geotiff': Export(
        check_geotiff, export_geotiff, GEOTIFF_FOLDER, is_output_folder, is_joint=False
    ),
}

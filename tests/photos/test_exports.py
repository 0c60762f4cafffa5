import errno
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from running import read_map, run

from dynaseg import segment_images
from dynaseg.photos.exports import (
    EXPORTS,
    describe_mask,
    describe_regions,
    export_coco,
    export_geotiff,
)
from dynaseg.photos.outputs import is_output_folder
from dynaseg.photos.segment import RunStoppedError

ORIGIN = (500_000, 4_600_000, 10, 10)  # west and north in metres, and the size of a pixel


def test_coco_annotations_are_the_regions_as_pycocotools_reads_them(tmp_path, photos):
    coco = pytest.importorskip('pycocotools.coco')
    (photos / 'c.png').write_text('no image')
    records = run(photos, tmp_path / 'out')
    path = export_coco(tmp_path / 'out', records)
    assert path == tmp_path / 'out/coco.json'
    data = coco.COCO(str(path))
    assert [image['file_name'] for image in data.dataset['images']] == [
        f'{name}.png' for name in 'abde'
    ]
    assert data.loadCats(data.getCatIds())[0]['name'] == 'region'
    for image in data.dataset['images']:
        name = image['file_name'][-5]
        regions = read_map(tmp_path / f'out/regions/{name}.png')
        annotations = data.loadAnns(data.getAnnIds(image['id']))
        assert len(annotations) == regions.max() + 1
        assert (image['height'], image['width']) == regions.shape
        for region, annotation in enumerate(annotations):
            mask = regions == region
            assert (data.annToMask(annotation) == mask).all()
            assert annotation['area'] == mask.sum()
            rows, columns = np.nonzero(mask)
            assert annotation['bbox'] == [
                columns.min(),
                rows.min(),
                np.ptp(columns) + 1,
                np.ptp(rows) + 1,
            ]


@pytest.mark.parametrize('shape', [(1, 1), (1, 5), (4, 1)])
def test_regions_of_lines_are_described(shape):
    mask = pytest.importorskip('pycocotools.mask')
    regions = np.arange(np.prod(shape)).reshape(shape)
    for region, annotation in enumerate(describe_regions(regions)):
        encoded = mask.frPyObjects(annotation['segmentation'], *shape)
        assert (mask.decode(encoded) == (regions == region)).all()


def test_an_export_is_asked_for_by_name(tmp_path, photos, capsys):
    with pytest.raises(ValueError, match=r"export must be among \['coco', 'geotiff'\], got 'svg'"):
        segment_images(photos, tmp_path / 'out', export=['svg'])
    segment_images(photos / 'a.png', tmp_path / 'out', export='coco', device='cpu')
    assert json.loads((tmp_path / 'out/coco.json').read_text())['annotations']
    assert f'regions as coco: {tmp_path / "out/coco.json"}\n' in capsys.readouterr().err


@pytest.fixture
def field(photos):
    """A photograph with a georeference, among others."""
    rasterio = pytest.importorskip('rasterio')
    pixels = np.random.default_rng(0).integers(0, 256, (3, 20, 30), dtype=np.uint8)
    path = photos / 'field.tif'
    place = {'crs': 'EPSG:32633', 'transform': rasterio.transform.from_origin(*ORIGIN)}
    with rasterio.open(path, 'w', 'GTiff', 30, 20, 3, dtype='uint8', **place) as file:
        file.write(pixels)
    return path


def test_georeferences_are_kept(tmp_path, photos, field):
    rasterio = pytest.importorskip('rasterio')
    folder = export_geotiff(tmp_path / 'out', run(photos, tmp_path / 'out'))
    assert [path.name for path in folder.iterdir()] == ['field.tif']
    assert is_output_folder(folder)
    with rasterio.open(folder / 'field.tif') as file:
        assert file.crs == rasterio.CRS.from_epsg(32633)
        assert file.transform == rasterio.transform.from_origin(*ORIGIN)
        assert (file.read(1) == read_map(tmp_path / 'out/regions/field.png')).all()


def test_what_cannot_be_exported_is_said_before_images_are_segmented(tmp_path, monkeypatch):
    pytest.importorskip('rasterio')
    Image.new('RGB', (8, 6)).save(tmp_path / 'a.tif')
    with pytest.raises(ValueError, match='none of the images has a georeference'):
        segment_images(tmp_path / 'a.tif', tmp_path / 'out', export=['geotiff'], device='cpu')
    monkeypatch.setitem(sys.modules, 'rasterio', None)
    with pytest.raises(ImportError, match='pip install rasterio'):
        segment_images(tmp_path / 'a.tif', tmp_path / 'out', export=['geotiff'], device='cpu')
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('content', ['{"images": []}', '', '[]'])
def test_annotations_of_another_program_stay(tmp_path, photos, content):
    (tmp_path / 'out').mkdir()
    path = tmp_path / 'out/coco.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=r'coco\.json is of another program'):
        segment_images(photos, tmp_path / 'out', export=['coco'], device='cpu')
    assert path.read_text() == content
    assert [*path.parent.iterdir()] == [path]


@pytest.mark.parametrize('damaged', [False, True])
def test_geotiffs_of_another_program_stay(tmp_path, field, damaged):
    path = tmp_path / 'out/geotiff/field.tif'
    path.parent.mkdir(parents=True)
    path.write_bytes(field.read_bytes()[: 40 if damaged else None])
    content = path.read_bytes()
    with pytest.raises(ValueError, match=r'field\.tif is of another program'):
        segment_images(field, tmp_path / 'out', export=['geotiff'], device='cpu')
    assert path.read_bytes() == content


def test_exports_are_written_again_by_a_further_run(tmp_path, field):
    for _ in range(2):
        records = segment_images(
            field.parent, tmp_path / 'out', export=['coco', 'geotiff'], device='cpu'
        )
    assert len(records) == 6
    assert len(json.loads((tmp_path / 'out/coco.json').read_text())['images']) == 6
    assert [path.name for path in (tmp_path / 'out/geotiff').iterdir()] == ['field.tif']


def read_coco_names(out_dir):
    images = json.loads((out_dir / 'coco.json').read_text())['images']
    return [Path(image['file_name']).name for image in images]


def test_annotations_are_of_all_images_of_the_folder(tmp_path, photos, capsys):
    out = tmp_path / 'out'
    for name in 'bca':
        segment_images(photos / f'{name}.png', out, export=['coco'], device='cpu')
    assert read_coco_names(out) == ['a.png', 'b.png', 'c.png']
    (out / 'regions/b.png').unlink()  # by the user
    (photos / 'd.png').write_text('no image')
    segment_images(photos / 'd.png', out, export=['coco'], device='cpu')
    assert read_coco_names(out) == ['a.png', 'c.png']
    assert 'is of before' not in capsys.readouterr().err
    options = {'detail': 1, 'overwrite': True, 'device': 'cpu'}
    segment_images(photos / 'a.png', out, export=['coco'], **options)
    assert read_coco_names(out) == ['a.png']  # the others have regions of other settings


def test_exports_that_are_left_as_they_were_are_told(tmp_path, field, capsys):
    out = tmp_path / 'out'
    segment_images(field, out, export=['coco', 'geotiff'], device='cpu')
    before = (out / 'coco.json').read_bytes()
    capsys.readouterr()
    (field.parent / 'a.png').write_text('no image')
    segment_images([field, field.parent / 'a.png'], out, device='cpu')  # done, and skipped
    assert 'is of before' not in capsys.readouterr().err
    segment_images(field, out, detail=1, overwrite=True, export=['geotiff'], device='cpu')
    told = capsys.readouterr().err
    assert f'{out / "coco.json"} is of before: --export coco writes it again\n' in told
    assert '--export geotiff' not in told
    segment_images(field.parent, out, detail=1, device='cpu')
    assert f'{out / "geotiff"} is of before: --export geotiff writes' in capsys.readouterr().err
    assert (out / 'coco.json').read_bytes() == before
    (out / 'coco.json').write_text('{}')  # of another program
    segment_images(field, out, overwrite=True, device='cpu')
    assert 'coco.json' not in capsys.readouterr().err


def test_an_export_that_cannot_be_written_costs_no_image(tmp_path, photos, monkeypatch):
    def fail(*args):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setitem(EXPORTS, 'coco', replace(EXPORTS['coco'], write=fail))
    with pytest.raises(RunStoppedError, match='No space left') as caught:
        segment_images(photos / 'a.png', tmp_path / 'out', export=['coco'], device='cpu')
    assert caught.value.segmented == 1


@pytest.mark.parametrize('seed', range(4))
def test_runs_of_a_region_are_those_of_its_whole_mask(seed):
    regions = np.random.default_rng(seed).integers(0, 6, (5, 7))
    for annotation in describe_regions(regions):
        counts = annotation['segmentation']['counts']
        values = np.repeat(np.arange(len(counts)) % 2, counts)
        mask = values.reshape(7, 5).T.astype(bool)
        assert len(np.unique(regions[mask])) == 1
        assert mask.sum() == annotation['area'] == (regions == regions[mask][0]).sum()
        assert min(counts[1:]) > 0


def test_the_last_of_256_regions_is_described():
    regions = np.arange(256, dtype=np.uint8).reshape(16, 16)  # as files of 8 bits are read
    annotations = [*describe_regions(regions)]
    assert [annotation['area'] for annotation in annotations] == [1] * 256


def test_georeferences_are_those_of_the_grid_that_the_file_has(tmp_path):
    rasterio = pytest.importorskip('rasterio')
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:8, :10] = 255
    keys = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633)
    tags = [
        (274, 'H', 1, 6, True),  # which is turned to be upright
        (33550, 'd', 3, (10.0, 10.0, 0.0), True),
        (33922, 'd', 6, (0, 0, 0, 5e5, 5e6, 0), True),
        (34735, 'H', len(keys), keys, True),
    ]
    tifffile.imwrite(tmp_path / 'a.tif', pixels, photometric='rgb', extratags=tags)
    out = tmp_path / 'out'
    (record,) = segment_images(tmp_path / 'a.tif', out, regions=2, export=['geotiff'], device='cpu')
    assert record['size'] == [20, 30]
    with rasterio.open(out / 'geotiff/a.tif') as file, rasterio.open(tmp_path / 'a.tif') as source:
        assert (file.shape, file.transform) == (source.shape, source.transform)
        regions = file.read(1)
    is_corner = pixels[..., 0] > 0
    assert ((regions == regions[0, 0]) == is_corner).mean() > 0.98


def test_a_geotiff_that_the_disk_does_not_take_is_an_error(tmp_path, photos, field, monkeypatch):
    pytest.importorskip('rasterio')
    records = run(photos, tmp_path / 'out')
    folder = export_geotiff(tmp_path / 'out', records)
    before = (folder / 'field.tif').read_bytes()
    write = Path.write_bytes
    monkeypatch.setattr(Path, 'write_bytes', lambda path, content: write(path, content[:-4]))
    with pytest.raises(OSError, match=r'field\.tif: .* bytes were written'):
        export_geotiff(tmp_path / 'out', records)
    assert (folder / 'field.tif').read_bytes() == before


@pytest.mark.parametrize(
    'mask',
    [np.ones((1, 1), bool), np.ones((1, 20), bool), np.ones((3, 3), bool), np.eye(9, dtype=bool)],
    ids=['pixel', 'line', 'square', 'diagonal'],
)
def test_polygons_of_small_masks_are_all_of_them(mask):
    from pycocotools import mask as masks

    mask = np.pad(mask, 2)
    polygons = describe_mask(mask)['segmentation']
    runs = masks.merge(masks.frPyObjects(polygons, *mask.shape))
    assert (masks.decode(runs) == mask).all()

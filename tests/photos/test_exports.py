import json

import numpy as np
import pytest
from PIL import Image
from running import read_map, run

from dynaseg import segment_images
from dynaseg.photos.exports import describe_regions, export_coco, export_geotiff


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
    segment_images(photos / 'a.png', tmp_path / 'out', export=['coco'], device='cpu')
    assert json.loads((tmp_path / 'out/coco.json').read_text())['annotations']
    assert f'regions as coco: {tmp_path / "out/coco.json"}\n' in capsys.readouterr().err


def test_georeferences_are_kept(tmp_path, photos):
    rasterio = pytest.importorskip('rasterio')
    pixels = np.random.default_rng(0).integers(0, 256, (3, 20, 30), dtype=np.uint8)
    transform = rasterio.transform.from_origin(500_000, 4_600_000, 10, 10)
    place = {'crs': 'EPSG:32633', 'transform': transform}
    with rasterio.open(
        photos / 'field.tif', 'w', 'GTiff', 30, 20, 3, dtype='uint8', **place
    ) as file:
        file.write(pixels)
    folder = export_geotiff(tmp_path / 'out', run(photos, tmp_path / 'out'))
    assert [path.name for path in folder.iterdir()] == ['field.tif']
    with rasterio.open(folder / 'field.tif') as file:
        assert file.crs == rasterio.CRS.from_epsg(32633)
        assert file.transform == transform
        assert (file.read(1) == read_map(tmp_path / 'out/regions/field.png')).all()


def test_images_without_a_georeference_are_said_so(tmp_path):
    pytest.importorskip('rasterio')
    Image.new('RGB', (8, 6)).save(tmp_path / 'a.tif')
    records = run(tmp_path / 'a.tif', tmp_path / 'out')
    with pytest.raises(ValueError, match='none of the images has a georeference'):
        export_geotiff(tmp_path / 'out', records)

import io
import os

import numpy as np
import pytest
from PIL import Image

from dynaseg.io.writing import (
    encode_jpeg,
    encode_photo,
    encode_png,
    read_label_map,
    write_label_map,
)


@pytest.mark.parametrize('given', [np.int64, np.int32, np.uint32])
@pytest.mark.parametrize('highest', [0, 255, 256, 65535, 65536, 2**24 - 1])
def test_label_maps_come_back_as_they_were(tmp_path, highest, given):
    labels = np.random.default_rng(0).integers(0, highest + 1, (5, 7)).astype(given)
    labels[2, 3] = highest
    path = tmp_path / 'labels' / 'a.png'
    write_label_map(path, labels)
    assert np.array_equal(read_label_map(path), labels)
    with Image.open(path) as image:
        assert image.format == 'PNG'
        assert image.mode == ('P' if highest <= 255 else 'RGB')
        values = np.array(image)
    if highest > 255:  # as COCO's panoptic annotations
        red, green, blue = np.moveaxis(values.astype(int), 2, 0)
        values = red + 256 * green + 65536 * blue
    assert np.array_equal(values, labels)
    assert os.listdir(path.parent) == ['a.png']


@pytest.mark.parametrize('given', [np.uint8, np.uint16, bool])
def test_label_maps_of_narrow_types(tmp_path, given):
    labels = np.array([[0, 1, 1], [0, 0, 1]], dtype=given)
    write_label_map(tmp_path / 'a.png', labels)
    assert np.array_equal(read_label_map(tmp_path / 'a.png'), labels)


def test_few_labels_are_seen_in_colours(tmp_path):
    write_label_map(tmp_path / 'a.png', np.arange(256).reshape(16, 16))
    with Image.open(tmp_path / 'a.png') as image:
        colours = np.array(image.convert('RGB')).reshape(-1, 3)
    assert len(np.unique(colours[:30], axis=0)) == 30


def test_label_maps_are_png_whatever_their_name(tmp_path):
    write_label_map(tmp_path / 'a.jpg', np.arange(6).reshape(2, 3))
    with Image.open(tmp_path / 'a.jpg') as image:
        assert image.format == 'PNG'


def test_views_of_label_maps_are_written_as_they_look(tmp_path):
    labels = np.arange(600).reshape(20, 30)
    for view in (labels.T, labels[::-1, ::2], labels[:, 4:5], labels // 4):
        write_label_map(tmp_path / 'a.png', view)
        assert np.array_equal(read_label_map(tmp_path / 'a.png'), view)


@pytest.mark.parametrize('labels', [[[-1, 3]], [[0, 2**24]], [[-1, 2**30]]])
def test_labels_that_fit_no_png_are_refused(tmp_path, labels):
    low, high = min(labels[0]), max(labels[0])
    with pytest.raises(ValueError, match=rf'a\.png: .* 0 to 16777215 .* got {low} to {high}'):
        write_label_map(tmp_path / 'new' / 'a.png', np.array(labels))
    assert os.listdir(tmp_path) == []


def test_pictures_are_encoded_in_memory():
    y, x = np.mgrid[:24, :40]
    picture = np.stack([6 * x, 10 * y, 120 + 0 * x], axis=-1).astype(np.uint8)
    image = Image.fromarray(picture)
    with Image.open(io.BytesIO(encode_png(image))) as read:
        assert read.format == 'PNG'
        assert np.array_equal(read, picture)
    for content, error in [(encode_jpeg(image), 16), (encode_photo(image), 6)]:
        with Image.open(io.BytesIO(content)) as read:
            assert read.format == 'JPEG'
            assert np.abs(np.array(read).astype(int) - picture).max() < error


def test_pictures_too_large_for_jpeg_are_png():
    with Image.open(io.BytesIO(encode_photo(Image.new('RGB', (65501, 1))))) as read:
        assert read.format == 'PNG'

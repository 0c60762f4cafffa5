import numpy as np
import pytest
from PIL import Image

from dynaseg.io.writing import encode_jpeg, read_label_map, write_label_map


def read(path):
    with Image.open(path) as image:
        assert image.format == 'PNG'
        return image.mode, np.array(image)


@pytest.mark.parametrize('highest', [0, 1, 255, 256, 65535, 65536, 2**24 - 1])
@pytest.mark.parametrize('given', [np.int64, np.int32, np.uint32])
def test_label_maps_come_back_as_they_were(tmp_path, highest, given):
    labels = np.random.default_rng(0).integers(0, highest + 1, (5, 7)).astype(given)
    labels[2, 3] = highest
    path = tmp_path / 'labels' / 'a.png'
    write_label_map(path, labels)
    mode, written = read(path)
    assert mode == ('P' if highest < 256 else 'RGB')
    # As users read them, by the line that the documentation gives.
    assert np.array_equal(written if highest < 256 else written @ [1, 256, 65536], labels)
    assert np.array_equal(read_label_map(path), labels)
    assert [path.name for path in path.parent.iterdir()] == ['a.png']


def test_labels_are_seen_as_colours(tmp_path):
    write_label_map(tmp_path / 'a.png', np.arange(256)[None])
    with Image.open(tmp_path / 'a.png') as image:
        colours = np.array(image.convert('RGB'))[0]
    assert len(np.unique(colours, axis=0)) == 256
    assert colours.max(axis=1).min() > 100


def test_label_maps_are_png_whatever_their_name(tmp_path):
    write_label_map(tmp_path / 'a.jpg', np.arange(6).reshape(2, 3))
    assert read(tmp_path / 'a.jpg')[0] == 'P'


@pytest.mark.parametrize('labels', [[[-1, 3]], [[0, 2**24]], [[-1, 2**30]]])
def test_labels_that_fit_no_png_are_refused(tmp_path, labels):
    low, high = min(labels[0]), max(labels[0])
    with pytest.raises(ValueError, match=rf'a\.png: .* 0 to 16777215 .* got {low} to {high}'):
        write_label_map(tmp_path / 'new' / 'a.png', np.array(labels))
    assert list(tmp_path.iterdir()) == []


def test_jpeg_is_near_the_picture():
    smooth = np.stack(np.meshgrid(np.arange(64), np.arange(48)), axis=-1).astype(np.uint8)
    image = Image.fromarray(np.dstack([smooth, smooth[..., 0]]))
    content = encode_jpeg(image)
    assert content.startswith(b'\xff\xd8')
    assert content.endswith(b'\xff\xd9')

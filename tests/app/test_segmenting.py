import numpy as np
import pytest
import tifffile
from halves import Halves
from PIL import Image

from dynaseg.app.segmenting import Opening, Segmenter


@pytest.fixture
def segmenter():
    segmenter = Segmenter(Opening(Halves(), max_megapixels=0.01), timeout=30)
    yield segmenter
    segmenter.close()


def save(folder, name, size=(20, 10), colour=(9, 9, 9)):
    path = folder / name
    Image.new('RGB', size, colour).save(path)
    return path


def test_a_picture_is_opened(segmenter, tmp_path):
    picture = segmenter(save(tmp_path, 'small.png'))
    assert picture.name == 'small'
    assert picture.image.shape == (10, 20, 3)
    assert picture.hierarchy.num_leaves == 2


def test_a_process_that_dies_is_one_clear_error_and_costs_the_next_nothing(segmenter, tmp_path):
    with pytest.raises(ValueError, match=r'green\.png: too large for the memory'):
        segmenter(save(tmp_path, 'green.png', colour=(0, 255, 0)))
    assert segmenter(save(tmp_path, 'small.png')).name == 'small'


def test_lack_of_memory_is_one_clear_error(segmenter, tmp_path):
    with pytest.raises(ValueError, match=r'blue\.png: too large for the memory'):
        segmenter(save(tmp_path, 'blue.png', colour=(0, 0, 255)))


def test_one_that_takes_too_long_is_given_up(segmenter, tmp_path):
    segmenter(save(tmp_path, 'small.png'))  # the process is up
    segmenter.timeout = 0.2
    with pytest.raises(ValueError, match=r'red\.png: not done within 0\.2 s'):
        segmenter(save(tmp_path, 'red.png', colour=(255, 0, 0)))
    segmenter.timeout = 30
    assert segmenter(save(tmp_path, 'small.png')).name == 'small'


def test_too_many_pixels_are_refused(segmenter, tmp_path):
    with pytest.raises(ValueError, match=r'large\.png: 0\.02 megapixels: expected at most 0\.01'):
        segmenter(save(tmp_path, 'large.png', size=(200, 100)))
    tifffile.imwrite(tmp_path / 'deep.tif', np.zeros((100, 200, 3), np.float32), photometric='rgb')
    with pytest.raises(ValueError, match=r'deep\.tif: 0\.02 megapixels: expected at most 0\.01'):
        segmenter(tmp_path / 'deep.tif')


def test_what_is_no_image_is_refused(segmenter, tmp_path):
    (tmp_path / 'words.png').write_text('no image')
    with pytest.raises(ValueError, match=r'words\.png: not a JPEG'):
        segmenter(tmp_path / 'words.png')

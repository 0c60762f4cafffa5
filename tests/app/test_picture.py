import json
import os
import time

import numpy as np
import pytest
from PIL import Image

from dynaseg.app.picture import Picture
from dynaseg.app.saving import remove_older, save_picture
from dynaseg.core.regions import RegionHierarchy

GREEN, RED = (0, 176, 80, 255), (224, 32, 32, 255)


@pytest.fixture
def picture():
    """Four vertical strips: the outer two join first, then all, at details 0.75, .5 and 0.3."""
    leaves = np.repeat(np.arange(4, dtype=np.int32), 10)[None].repeat(20, axis=0)
    parents = np.array([4, 4, 5, 5, 6, 6, 6])
    hierarchy = RegionHierarchy(leaves, parents, np.array([0, 0, 0, 0, 0.9, 1.1, 1.3]), middle=1.0)
    image = np.repeat((40 * leaves)[..., None], 3, axis=2).astype(np.uint8)
    return Picture('strips.jpg', image, hierarchy)


def test_regions_are_selected_and_deselected(picture):
    picture.toggle(3, 5, detail=1)
    assert picture.selected[:, :10].all()
    assert picture.selected.sum() == 200
    picture.toggle(12, 5, detail=0.5)  # of which only half is selected
    assert picture.selected.sum() == 400
    picture.toggle(3, 5, detail=1)
    assert not picture.selected[:, :10].any()
    assert picture.selected.sum() == 200


def test_points_are_those_of_the_display():
    leaves = np.repeat(np.arange(2, dtype=np.int32), 2000)[None].repeat(8, axis=0)
    hierarchy = RegionHierarchy(leaves, np.array([2, 2, 2]), np.array([0, 0, 1.0]))
    large = Picture('large', np.zeros((8, 4000, 3), np.uint8), hierarchy)
    assert large.display.shape == (3, 1600, 3)
    large.toggle(1599, 2, detail=1)
    assert large.selected[:, 2000:].all()
    assert not large.selected[:, :2000].any()


def test_painted_subjects_are_selected(picture):
    painted = np.zeros((20, 40, 4), np.uint8)
    painted[3:6, 2:5], painted[3:6, 35:38] = GREEN, RED
    picture.select_marked(painted)
    assert picture.selected[:, :20].all()
    assert not picture.selected[:, 20:].any()


def test_both_colours_are_needed(picture):
    painted = np.zeros((20, 40, 4), np.uint8)
    painted[3:6, 2:5] = GREEN
    with pytest.raises(ValueError, match='paint green on the subject and red'):
        picture.select_marked(painted)


def test_what_is_selected_stands_out(picture):
    assert picture.describe(1) == '4 regions'
    before = picture.draw(1)
    assert before.shape == (20, 40, 3)
    picture.toggle(15, 5, detail=1)
    assert picture.describe(0.5) == '3 regions, 25.0% of the picture selected'
    after = picture.draw(1)
    assert (after[5, 15] == picture.image[5, 15]).all()
    assert (after[5, 35] < picture.image[5, 35]).all()


def test_what_is_saved_agrees(picture, tmp_path):
    from pycocotools.coco import COCO

    picture.toggle(15, 5, detail=1)
    files = {path.name: path for path in save_picture(tmp_path, picture, 1)}
    assert set(files) == {
        *('strips-regions.png', 'strips-regions.json', 'strips-mask.png', 'strips-cutout.png'),
        *('strips-mask.json', 'strips-polygons.json'),
    }
    mask = np.asarray(Image.open(files['strips-mask.png'])) == 255
    assert (mask == picture.selected).all()
    cut_out = np.asarray(Image.open(files['strips-cutout.png']))
    assert (cut_out[..., :3] == picture.image).all()
    assert ((cut_out[..., 3] == 255) == mask).all()
    for name in ('strips-mask.json', 'strips-polygons.json'):
        coco = COCO(files[name])
        (annotation,) = coco.loadAnns(coco.getAnnIds())
        assert (coco.annToMask(annotation) == mask).mean() > 0.98
        assert [one['file_name'] for one in coco.loadImgs(coco.getImgIds())] == ['strips.jpg']
    assert len(json.loads(files['strips-regions.json'].read_text())['annotations']) == 4


def test_without_a_selection_regions_are_saved(picture, tmp_path):
    files = save_picture(tmp_path, picture, 0.5)
    assert [file.name for file in files] == ['strips-regions.png', 'strips-regions.json']


def test_what_was_saved_long_ago_is_removed(tmp_path):
    folder = tmp_path / 'saved'
    remove_older(folder, 3600)
    for name, age in (('old', 3700), ('new', 3500)):
        (folder / name).mkdir()
        (folder / name / 'a-mask.png').write_bytes(b'')
        os.utime(folder / name, (time.time() - age,) * 2)
    remove_older(folder, 3600)
    assert [path.name for path in folder.iterdir()] == ['new']

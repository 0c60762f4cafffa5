import json

import numpy as np
import pytest
from PIL import Image

from dynaseg import segment_images
from dynaseg.guided import cut_out
from dynaseg.io.files import lock
from dynaseg.photos.cutting import name_cut_out
from dynaseg.photos.finding import find_images
from dynaseg.photos.outputs import read_cut_outs


@pytest.fixture
def picture(tmp_path):
    return save(tmp_path / 'one/a.png', (200, 30, 30))


def save(path, colour):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((24, 32, 3), 90, np.uint8)
    pixels[6:18, 8:24] = colour
    Image.fromarray(pixels).save(path)
    return path


def cut(path, out_dir, keep='16,12'):
    paths = cut_out(path, keep=[keep], drop=['2,2'], out_dir=out_dir, device='cpu')
    return [str(path.relative_to(out_dir)) for path in paths]


def test_a_picture_that_is_cut_again_takes_the_place_of_its_first_cut_out(picture, tmp_path):
    out = tmp_path / 'out'
    assert cut(picture, out) == ['cutouts/a.png', 'masks/a.png']
    before = (out / 'masks/a.png').read_bytes()
    assert cut(picture, out, keep='4,20') == ['cutouts/a.png', 'masks/a.png']
    assert (out / 'masks/a.png').read_bytes() != before


def test_pictures_of_one_name_have_cut_outs_of_their_own(picture, tmp_path):
    out = tmp_path / 'out'
    cut(picture, out)
    before = (out / 'cutouts/a.png').read_bytes()
    other = save(tmp_path / 'two/a.jpg', (30, 30, 200))
    assert cut(other, out) == ['cutouts/a-2.png', 'masks/a-2.png']
    assert cut(out / 'cutouts/a.png', out) == ['cutouts/a-3.png', 'masks/a-3.png']
    assert (out / 'cutouts/a.png').read_bytes() == before
    assert cut(other, out) == ['cutouts/a-2.png', 'masks/a-2.png']


def test_a_picture_is_the_same_by_each_of_its_paths(picture, tmp_path, monkeypatch):
    out = tmp_path / 'out'
    (tmp_path / 'work').mkdir()
    monkeypatch.chdir(tmp_path / 'work')
    for path in ('../one/a.png', picture, f'{tmp_path}/work/../one/./a.png'):
        assert cut(path, out) == ['cutouts/a.png', 'masks/a.png']
    (note,) = (out / '.cutouts.jsonl').read_text().splitlines()
    other = json.dumps(json.loads(note) | {'file': f'{tmp_path}/work/../one/a.png'})
    (out / '.cutouts.jsonl').write_text(f'{other}\n')
    assert cut(picture, out) == ['cutouts/a.png', 'masks/a.png']


def test_masks_of_a_data_set_stay(picture, tmp_path):
    mask = save(tmp_path / 'one/masks/a.png', (255, 255, 255))
    before = mask.read_bytes()
    assert cut(picture, picture.parent) == ['cutouts/a-2.png', 'masks/a-2.png']
    assert mask.read_bytes() == before


def test_a_note_that_was_cut_off_costs_itself_alone(picture, tmp_path):
    out = tmp_path / 'out'
    cut(picture, out)
    notes = out / '.cutouts.jsonl'
    assert json.loads(notes.read_text()) == {'file': str(picture), 'name': 'a'}
    other = '{"file": "/c.png", "name": "../../c"}\n{"file": "/d.png", "name": 5}\n'
    notes.write_bytes(b'{"file": "/b\xe9.p\n' + other.encode() + notes.read_bytes() + b'["/e')
    assert cut(picture, out) == ['cutouts/a.png', 'masks/a.png']
    assert cut(save(tmp_path / 'two/a.png', (9, 9, 9)), out) == ['cutouts/a-2.png', 'masks/a-2.png']
    assert cut(tmp_path / 'two/a.png', out) == ['cutouts/a-2.png', 'masks/a-2.png']


def test_names_are_given_one_after_another(tmp_path, monkeypatch):
    def read(out_dir):
        with (out_dir / '.cutouts.jsonl').open('a') as file, pytest.raises(BlockingIOError):
            lock(file, wait=False)  # by another process: the notes are locked
        return read_cut_outs(out_dir)

    monkeypatch.setattr('dynaseg.photos.cutting.read_cut_outs', read)
    names = [name_cut_out(tmp_path / 'out', tmp_path / f'{number}/a.png') for number in range(3)]
    assert names == ['a', 'a-2', 'a-3']


def test_other_masks_beside_those_of_cut_outs_are_input(picture, tmp_path):
    mask = save(tmp_path / 'one/masks/venice.png', (255, 255, 255))
    cut(picture, picture.parent)
    assert find_images(picture.parent) == [picture, mask]
    assert find_images(f'{picture.parent}/*/*.png') == [mask]
    assert find_images(picture.parent / 'masks/a.png') == [picture.parent / 'masks/a.png']


def test_cut_outs_and_exports_are_no_input(picture, tmp_path):
    cut(picture, tmp_path / 'outputs')
    segment_images(picture, tmp_path / 'outputs', device='cpu')
    (tmp_path / 'outputs/geotiff').mkdir()
    Image.new('L', (8, 6)).save(tmp_path / 'outputs/geotiff/a.tif', software='DynaSeg')
    save(tmp_path / 'outputs/assets/legend.jpg', (0, 0, 0))
    assert find_images(tmp_path) == [picture]

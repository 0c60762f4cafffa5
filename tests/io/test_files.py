import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dynaseg.io.files import (
    atomic_write,
    is_whole,
    name_some,
    remove_parts,
    take_evenly,
    walk_images,
    write_file,
)


def names_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file())


def test_damage_of_an_archive_is_noticed_and_no_error():
    buffer = io.BytesIO()
    records = {'version': b'3\n', 'data/0': bytes(range(64))}
    with zipfile.ZipFile(buffer, 'w') as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    content = buffer.getvalue()
    assert is_whole(buffer)
    verdicts = []
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        verdicts.append(is_whole(io.BytesIO(damaged)))
    start = content.index(records['data/0'])
    assert not any(verdicts[start : start + 64])


def test_a_file_takes_its_place_when_it_is_whole(tmp_path):
    path = tmp_path / 'new' / 'folder' / 'a.txt'
    with atomic_write(path) as temporary:
        assert temporary.parent == path.parent  # a rename within a file system is atomic
        temporary.write_text('first')
        assert not path.exists()
    assert path.read_text() == 'first'
    with atomic_write(path) as temporary:
        temporary.write_text('second')
        assert path.read_text() == 'first'
    assert path.read_text() == 'second'
    assert names_below(tmp_path) == ['new/folder/a.txt']


def write_half(path, error):
    with atomic_write(path) as temporary:
        temporary.write_text('half')
        raise error


@pytest.mark.parametrize('error', [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize('before', [None, 'before'])
def test_what_was_there_stays_where_writing_fails(tmp_path, error, before):
    path = tmp_path / 'a.txt'
    if before:
        path.write_text(before)
    with pytest.raises(error):
        write_half(path, error)
    assert names_below(tmp_path) == (['a.txt'] if before else [])
    assert not before or path.read_text() == before


def test_a_block_that_writes_nothing_is_an_error_and_leaves_the_file(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('before')
    with pytest.raises(FileNotFoundError), atomic_write(path):
        pass
    assert path.read_text() == 'before'


def test_a_temporary_file_is_no_image(tmp_path):
    with atomic_write(tmp_path / 'a.png') as temporary:
        Image.new('L', (2, 2)).save(temporary, 'PNG')
        assert list(walk_images(str(tmp_path))) == []


def test_contents_are_written_as_they_are(tmp_path):
    write_file(tmp_path / 'new' / 'a.bin', bytes(range(256)))
    assert (tmp_path / 'new' / 'a.bin').read_bytes() == bytes(range(256))
    write_file(tmp_path / 'a.txt', 'Zürich\n')
    assert (tmp_path / 'a.txt').read_bytes() == 'Zürich\n'.encode()
    assert names_below(tmp_path) == ['a.txt', 'new/a.bin']


def test_a_file_that_the_disk_does_not_take_whole_is_an_error(tmp_path, monkeypatch):
    def write_half(path, content):
        with open(path, 'wb') as file:
            return file.write(content[: len(content) // 2])

    path = tmp_path / 'a.txt'
    path.write_text('before')
    monkeypatch.setattr(Path, 'write_bytes', write_half)
    with pytest.raises(OSError, match=r'a\.txt: 2 of 4 bytes were written'):
        write_file(path, 'long')
    assert path.read_text() == 'before'
    assert names_below(tmp_path) == ['a.txt']


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / 'a.txt'
    with atomic_write(path) as one, atomic_write(path) as other:
        assert one != other
        one.write_text('one')
        other.write_text('other')
    assert path.read_text() == 'one'  # which ended last
    assert names_below(tmp_path) == ['a.txt']


def test_what_killed_writers_left_is_removed(tmp_path):
    remove_parts(tmp_path / 'absent')
    with atomic_write(tmp_path / 'a.png') as temporary:
        left = temporary.name
        temporary.write_text('whole')
    for name in (left, 'b.part', '.mine.iso.part', 'c.png'):
        (tmp_path / name).write_text('kept unless it is a part')
    remove_parts(tmp_path)
    assert names_below(tmp_path) == ['.mine.iso.part', 'a.png', 'b.part', 'c.png']


@pytest.fixture
def folder(tmp_path):
    names = ['b.JPG', 'a.png', 'z/c.tif', 'm/d.jpeg', 'm/x/e.webp', 'f.bmp', 'g.tiff']
    others = ['.h.jpg', '.hidden/i.jpg', 'm/.cache/j.png', 'notes.txt', 'jpg', 'k.jpg.part']
    for name in [*names, *others]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_images_are_found_in_order_and_hidden_ones_passed_over(folder):
    found = [os.path.relpath(path, folder) for path in walk_images(str(folder))]
    assert found == ['a.png', 'b.JPG', 'f.bmp', 'g.tiff', 'm/d.jpeg', 'm/x/e.webp', 'z/c.tif']


def test_paths_begin_with_the_folder_as_it_was_given(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert next(walk_images(folder.name)) == os.path.join(folder.name, 'a.png')


def test_folders_may_be_left_out(folder, monkeypatch):
    monkeypatch.chdir(folder)
    found = list(walk_images('.', skip=lambda path: os.path.basename(path) == 'm'))
    assert {Path(path).name for path in found} == {'a.png', 'b.JPG', 'f.bmp', 'g.tiff', 'c.tif'}


def test_folders_that_cannot_be_listed_are_reported(tmp_path):
    errors = []
    assert list(walk_images(str(tmp_path / 'absent'), onerror=errors.append)) == []
    (error,) = errors
    assert isinstance(error, FileNotFoundError)
    assert list(walk_images(str(tmp_path / 'absent'))) == []


def test_few_names_are_all_named():
    assert name_some([]) == ''
    assert name_some(['a']) == 'a'
    assert name_some(['a', 'b', 'c']) == 'a, b, c'
    assert name_some([str(number) for number in range(9)]) == '0, 1, 2, ...'


def test_items_are_taken_evenly():
    assert list(take_evenly(range(100), 20)) == list(range(0, 100, 5))
    assert take_evenly([1, 2], None) == take_evenly([1, 2], 2) == take_evenly([1, 2], 3) == [1, 2]
    for count in range(1, 12):
        taken = take_evenly(list(range(11)), count)
        assert len(taken) == len(set(taken)) == count
        assert taken[0] == 0
        steps = np.diff(taken)
        assert count == 1 or steps.max() - steps.min() <= 1

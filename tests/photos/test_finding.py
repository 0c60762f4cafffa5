import os
from pathlib import Path

import pytest
from PIL import Image

from dynaseg import segment_images
from dynaseg.photos.finding import find_images, name_outputs


@pytest.fixture
def tree(tmp_path):
    for name in (
        'b.jpg',
        'a.PNG',
        'notes.txt',
        '.hidden.jpg',
        'sub/c.tiff',
        'sub/deep/d.webp',
        'sub/folder.png/e.bmp',
        '.cache/f.jpg',
        'out/labels/a.png',
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def relative(files, folder):
    assert all(file.is_absolute() for file in files)
    return [file.relative_to(folder).as_posix() for file in files]


def test_folders_are_searched_with_their_subfolders(tree):
    found = relative(find_images(tree, exclude=[tree / 'out/labels']), tree)
    assert found == ['a.PNG', 'b.jpg', 'sub/c.tiff', 'sub/deep/d.webp', 'sub/folder.png/e.bmp']


def test_patterns(tree):
    assert relative(find_images(f'{tree}/*'), tree) == [
        'a.PNG',
        'b.jpg',
        'out/labels/a.png',
        'sub/c.tiff',
        'sub/deep/d.webp',
        'sub/folder.png/e.bmp',
    ]
    assert relative(find_images(f'{tree}/*.jpg'), tree) == ['b.jpg']
    found = relative(find_images(f'{tree}/**/*.[tw]*', exclude=[tree / 'out']), tree)
    assert found == ['sub/c.tiff', 'sub/deep/d.webp']
    assert relative(find_images(f'{tree}/**/a.*', exclude=[tree / 'out']), tree) == ['a.PNG']


def test_files_are_taken_whatever_their_name(tree):
    assert relative(find_images([tree / 'notes.txt', tree / '.hidden.jpg']), tree) == [
        'notes.txt',
        '.hidden.jpg',
    ]


def test_files_that_are_no_images_are_told(tree):
    others = []
    find_images(tree, on_other=others.append)
    assert relative(list(map(Path, others)), tree) == ['notes.txt']


def test_a_file_whose_name_looks_like_a_pattern(tree):
    (tree / 'x[1].jpg').touch()
    assert relative(find_images(tree / 'x[1].jpg'), tree) == ['x[1].jpg']


def test_order_is_that_of_the_inputs_and_each_file_comes_once(tree, monkeypatch):
    monkeypatch.chdir(tree)
    found = find_images(['sub/deep', 'b.jpg', './sub', 'sub/../b.jpg'])
    assert relative(found, tree) == [
        'sub/deep/d.webp',
        'b.jpg',
        'sub/c.tiff',
        'sub/folder.png/e.bmp',
    ]


@pytest.mark.parametrize(
    'line',
    [
        '',
        'words',
        '[1]',
        '5',
        '{"metric": 1}',
        '{"settings": 5}',
        '{"settings": {"seed": 0}}',
        '{"file": "a.jpg", "settings": []}',
    ],
)
@pytest.mark.parametrize('name', ['labels', 'assets', 'geotiff'])
def test_photographs_beside_the_results_of_another_program_are_found(tmp_path, name, line):
    (tmp_path / name).mkdir()
    photo = tmp_path / name / 'hero.png'
    photo.touch()
    (tmp_path / 'results.jsonl').write_text(f'{line}\n')
    for given in (tmp_path, tmp_path / name, f'{tmp_path}/*/*.png'):
        assert find_images(given) == [photo]


def test_photographs_in_a_folder_that_is_named_as_exports_are_are_found(tmp_path):
    (tmp_path / 'geotiff').mkdir()
    for name in ('geotiff/field.png', 'photo.png'):
        Image.new('RGB', (8, 6)).save(tmp_path / name)
    for _ in range(2):  # the second time beside the records of the first
        records = segment_images(tmp_path, tmp_path, device='cpu')
        assert [record['name'] for record in records] == ['photo', 'field']
    Image.new('L', (8, 6)).save(tmp_path / 'geotiff/photo.tif', software='DynaSeg')
    assert find_images(tmp_path) == [tmp_path / 'photo.png']


def test_missing_files_are_kept_beside_others(tree):
    assert relative(find_images([tree / 'b.jpg', tree / 'nope.jpg']), tree) == ['b.jpg', 'nope.jpg']


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ('nope.jpg', r'^no such file or folder: nope\.jpg$'),
        (['nope/', 'no.png'], r'^no such file or folder: nope/, no\.png$'),
        ('*.psd', r'^no image files .* found in: \*\.psd$'),
        ('empty', r'^no image files .* found in: empty$'),
        ([], '^no image files .* found in: nothing$'),
        (['b.jpg', 'x*.jpg'], r'^no image files .* found by the pattern x\*\.jpg$'),
    ],
)
def test_nothing_found_is_an_error(tree, monkeypatch, given, message):
    monkeypatch.chdir(tree)
    (tree / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match=message):
        find_images(given)


def test_outputs_of_an_earlier_run_are_told_from_an_empty_folder(tmp_path):
    Image.new('RGB', (8, 6)).save(tmp_path / 'a.png')
    segment_images(tmp_path / 'a.png', tmp_path / 'runs/out', device='cpu')
    for given in (tmp_path / 'runs', tmp_path / 'runs/out', tmp_path / 'runs/out/labels'):
        with pytest.raises(ValueError, match=r'out.* holds outputs of an earlier run'):
            find_images(given)


def test_an_empty_text_is_no_input(tmp_path):
    with pytest.raises(ValueError, match='an input has no name'):
        find_images(['', tmp_path])


def test_names_are_stems_and_never_collide():
    files = [Path(name) for name in ('a/x.jpg', 'a/x.png', 'b/X.jpg', 'a/x-2.jpg', 'a/y.jpg')]
    names = name_outputs(files, {})
    assert list(names.values()) == ['x', 'x-2', 'X-3', 'x-2-2', 'y']


def test_known_names_are_kept_whatever_comes_before():
    first = name_outputs([Path('b/x.jpg')], {})
    second = name_outputs([Path('a/x.jpg'), Path('b/x.jpg')], first)
    assert second == {Path('b/x.jpg'): 'x', Path('a/x.jpg'): 'x-2'}


def test_names_are_no_folders(tmp_path):
    files = [tmp_path / name for name in ('..jpg', '...png', '....png', '_.png')]
    for file in files:
        Image.new('RGB', (8, 6)).save(file, 'PNG')
    for _ in range(2):
        records = segment_images(files, tmp_path / 'out', device='cpu')
        assert [record['name'] for record in records] == ['_', '__', '...', '_-2']
    assert all((tmp_path / f'out/regions/{record["name"]}.png').is_file() for record in records)


def test_names_are_text_and_short():
    undecodable = Path(os.fsdecode(b'caf\xe9.jpg'))
    long = Path('é' * 120 + '.jpg')
    many = Path(os.fsdecode(b'\xe9' * 120 + b'.jpg'))  # each of which becomes three bytes
    names = name_outputs([undecodable, long, many], {})
    assert names[undecodable] == 'caf\N{REPLACEMENT CHARACTER}'
    assert names[long] == 'é' * 100
    assert names[many] == '\N{REPLACEMENT CHARACTER}' * 66

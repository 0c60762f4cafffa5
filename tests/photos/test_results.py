import errno
import json
import os
from pathlib import Path

import pytest
from PIL import Image
from running import SETTINGS, check_outputs, list_outputs, load, run
from stand_ins import Counting

from dynaseg.io.files import write_file
from dynaseg.photos.finding import find_images
from dynaseg.photos.page import PAGE_SIZE, page_name
from dynaseg.photos.results import Results


def failed(number, error='x'):
    return {'file': f'/photos/{number}.jpg', 'name': str(number), 'error': error}


def test_the_last_record_of_a_file_counts(tmp_path):
    with Results(tmp_path, SETTINGS) as results:
        for record in (failed(1), failed(2), failed(1, 'again')):
            results.add(record)
    for _ in range(2):
        with Results(tmp_path, SETTINGS) as results:
            assert results[Path('/photos/1.jpg')]['error'] == 'again'
            assert results[Path('/photos/2.jpg')]['error'] == 'x'
            assert list(results.names) == [Path('/photos/1.jpg'), Path('/photos/2.jpg')]
    assert len((tmp_path / 'results.jsonl').read_text().splitlines()) == 4


@pytest.mark.parametrize('cut', [1, 10, 40])
def test_a_last_line_that_was_cut_off_goes(tmp_path, cut):
    with Results(tmp_path, SETTINGS) as results:
        results.add(failed(1))
        results.add(failed(2))
    path = tmp_path / 'results.jsonl'
    path.write_bytes(path.read_bytes()[:-cut])
    with Results(tmp_path, SETTINGS) as results:
        assert list(results.names.values()) == ['1']
        results.add(failed(3))
    assert load(tmp_path) == (SETTINGS, [failed(1), failed(3)])


def test_adding_a_record_appends_to_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(Results, 'save', lambda self: None)
    path = tmp_path / 'results.jsonl'
    with Results(tmp_path, SETTINGS) as results:
        inode = path.stat().st_ino
        for number in range(20):
            before = path.read_bytes()
            results.add(failed(number))
            assert path.read_bytes() == before + json.dumps(failed(number)).encode() + b'\n'
        assert path.stat().st_ino == inode


def test_pages_are_of_a_hundred_images_and_only_stale_ones_are_written(tmp_path):
    pages = [tmp_path / name for name in ('index.html', 'index-2.html', 'index-3.html')]
    with Results(tmp_path, SETTINGS) as results:
        for number in range(2 * PAGE_SIZE):
            results.add(failed(number))
    assert [page.exists() for page in pages] == [True, True, False]
    inodes = [page.stat().st_ino for page in pages[:2]]
    with Results(tmp_path, SETTINGS) as results:
        assert [page.stat().st_ino for page in pages[1:2]] == inodes[1:]
        results.add(failed(2 * PAGE_SIZE))
    texts = [page.read_text() for page in pages]
    assert [text.count('<li>') for text in texts] == [PAGE_SIZE, PAGE_SIZE, 1]
    assert 'href="index-3.html"' in texts[1]
    assert 'href="index-2.html"' in texts[0]
    assert 'href="index-3.html"' not in texts[0]
    assert f'{2 * PAGE_SIZE + 1} skipped' in texts[0]
    assert not any('skipped' in text.partition('<main>')[0] for text in texts[1:])
    assert '<p>Page 2</p>' in texts[1]


def test_pages_that_an_interrupted_run_left_out_are_written_by_the_next(tmp_path, monkeypatch):
    def write(path, content):
        if path.name == 'index-2.html':
            raise KeyboardInterrupt
        write_file(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Results, 'save', lambda self: None)
        results = Results(tmp_path, SETTINGS)
        for number in range(2 * PAGE_SIZE + 1):
            results.add(failed(number))
    with monkeypatch.context() as patch:
        patch.setattr('dynaseg.photos.results.write_file', write)
        with pytest.raises(KeyboardInterrupt):
            results.close()
    Results(tmp_path, SETTINGS).close()
    texts = [(tmp_path / page_name(number)).read_text() for number in range(3)]
    assert [text.count('<li>') for text in texts] == [PAGE_SIZE, PAGE_SIZE, 1]


def test_pages_are_not_written_more_often_than_is_cheap(tmp_path, monkeypatch):
    results = Results(tmp_path, SETTINGS)
    now = [0.0]
    monkeypatch.setattr('dynaseg.photos.results.time.monotonic', lambda: now[0])
    saved = []
    save = Results.save

    def slow_save(self):
        saved.append(now[0])
        save(self)
        self._seconds_to_save = 1.0

    monkeypatch.setattr(Results, 'save', slow_save)
    results.save()
    for second in range(1, 61):
        now[0] = float(second)
        results.add(failed(second))
    assert saved == [0, 21, 42]
    results.close()
    assert (tmp_path / 'index.html').read_text().count('<li>') == 60


def test_a_second_run_in_the_same_folder_is_refused(tmp_path):
    with (
        Results(tmp_path, SETTINGS),
        pytest.raises(ValueError, match='another run is writing into'),
    ):
        Results(tmp_path, SETTINGS, overwrite=True)
    Results(tmp_path, SETTINGS).close()


def test_other_settings_are_refused_unless_overwriting(tmp_path, photos):
    run(photos, tmp_path / 'out')
    other = SETTINGS | {'config_sha256': 'f00', 'seed': 1}
    changes = r'\(the content of the config has changed; seed was 0, is 1\)'
    with pytest.raises(ValueError, match=f'other settings {changes}: .*overwrite'):
        run(photos / 'a.png', tmp_path / 'out', settings=other)
    many = other | {'label_names': [f'cluster {number}' for number in range(44)]}
    with pytest.raises(ValueError, match='other settings') as caught:
        run(photos / 'a.png', tmp_path / 'out', settings=many)
    assert len(str(caught.value)) < 600
    assert len(check_outputs(tmp_path / 'out')) == 5
    again = Counting()
    run(photos / 'a.png', tmp_path / 'out', again, other, overwrite=True)
    assert again.calls == 1
    # The others stay as they are, until they are asked for.
    assert len(check_outputs(tmp_path / 'out')) == 5
    rest = Counting()
    run(photos, tmp_path / 'out', rest, other)
    assert rest.calls == 4
    nothing = Counting()
    run(photos, tmp_path / 'out', nothing, other)
    assert nothing.calls == 0


def test_overwriting_touches_the_outputs_of_the_images_given_alone(tmp_path, photos):
    run(photos, tmp_path / 'out')
    before = {path: path.stat() for path in (tmp_path / 'out').glob('*/*')}
    again = Counting()
    run(photos / 'b.png', tmp_path / 'out', again, overwrite=True)
    assert again.calls == 1
    changed = {path for path, status in before.items() if path.stat() != status}
    assert {path.stem for path in changed if path.parent.name != 'assets'} == {'b'}
    assert len(check_outputs(tmp_path / 'out')) == 5


RECORD = '{"settings": {}}\n'


@pytest.mark.parametrize(
    'content',
    [
        'words\n',
        '[]\n',
        '{"settings": 1}\n',
        RECORD + '1\n',
        RECORD + '{"file": "a", "name": "../a"}\n',
        RECORD + '{"file": "a", "name": "a"}\n',
        RECORD + 'damaged\n{"file": "a", "name": "a", "error": "x"}\n',
    ],
)
@pytest.mark.parametrize('overwrite', [False, True])
def test_foreign_results_are_refused(tmp_path, photos, content, overwrite):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/results.jsonl').write_text(content)
    with pytest.raises(ValueError, match=r'results\.jsonl is damaged or of another program'):
        run(photos, tmp_path / 'out', overwrite=overwrite)
    assert (tmp_path / 'out/results.jsonl').read_text() == content


def test_foreign_files_are_refused_unless_overwriting(tmp_path, photos):
    (tmp_path / 'labels').mkdir()
    (tmp_path / 'labels/a.png').write_text('of great value')
    with pytest.raises(ValueError, match=r'labels holds files, but .*results\.jsonl is missing'):
        run(photos, tmp_path)
    assert not (tmp_path / 'results.jsonl').exists()


@pytest.mark.parametrize('name', ['index.html', 'assets', 'results.json'])
@pytest.mark.parametrize('overwrite', [False, True])
def test_a_foreign_page_is_always_refused(tmp_path, photos, name, overwrite):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / name).write_text('of great value')
    with pytest.raises(ValueError, match=f'{name} is of another program, or of an earlier version'):
        run(photos, tmp_path / 'out', overwrite=overwrite)
    assert [path.read_text() for path in (tmp_path / 'out').iterdir()] == ['of great value']


def test_photographs_where_outputs_would_go_are_kept(tmp_path, photos):
    """The output folder is the input folder, whose photographs lie in a folder named labels."""
    photos.rename(tmp_path / 'labels')
    contents = {path: path.read_bytes() for path in (tmp_path / 'labels').iterdir()}
    records = run(list(contents), tmp_path, overwrite=True)
    assert {record['name'] for record in records} == {f'{name}-2' for name in 'abcde'}
    (tmp_path / 'labels/f.png').write_bytes(b'put there later')
    (tmp_path / 'new').mkdir()
    Image.new('RGB', (3, 2)).save(tmp_path / 'new/f.png')
    (record,) = run(tmp_path / 'new/f.png', tmp_path)
    assert record['name'] == 'f-2'
    assert (tmp_path / 'labels/f.png').read_bytes() == b'put there later'
    assert {path: path.read_bytes() for path in contents} == contents
    nothing = Counting()
    run([*contents, tmp_path / 'new/f.png'], tmp_path, nothing)
    assert nothing.calls == 0


def test_what_an_ended_run_was_writing_is_its_own(tmp_path, photos, monkeypatch):
    def add(self, record):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Results, 'add', add)
        with pytest.raises(KeyboardInterrupt):
            run(photos, tmp_path / 'out')
    assert list_outputs(tmp_path / 'out')['labels'] == ['a.png']
    records = run(photos, tmp_path / 'out')
    assert [record['name'] for record in records] == list('abcde')
    check_outputs(tmp_path / 'out')


def test_outputs_are_not_segmented_by_a_later_run(tmp_path, photos):
    run(photos, photos / 'segmented')
    assert len(run(photos, tmp_path / 'out')) == 5
    assert len(run(f'{tmp_path}/**/*.png', tmp_path / 'other')) == 5
    with pytest.raises(ValueError, match='labels holds outputs of an earlier run: name single'):
        find_images([photos, photos / 'segmented/labels'])


def test_a_photograph_that_cannot_be_reached_any_more_is_skipped(tmp_path, photos, monkeypatch):
    run(photos, tmp_path / 'out')
    stat = os.stat

    def refuse(path, **options):
        if Path(path) == photos / 'b.png':
            raise PermissionError(errno.EACCES, 'Permission denied', str(path))
        return stat(path, **options)

    nothing = Counting()
    with monkeypatch.context() as patch:
        patch.setattr('os.stat', refuse)
        records = run([photos / f'{name}.png' for name in 'abc'], tmp_path / 'out', nothing)
    assert [record.get('error') for record in records] == [None, 'Permission denied', None]
    assert nothing.calls == 0


def test_an_empty_file_of_records_is_begun(tmp_path, photos):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/results.jsonl').touch()
    run(photos, tmp_path / 'out')
    assert len(check_outputs(tmp_path / 'out')) == 5


def test_what_killed_runs_left_is_removed(tmp_path, photos):
    run(photos / 'a.png', tmp_path / 'out')
    (tmp_path / 'out/labels/.a.png.0123abcd.part').touch()
    (tmp_path / 'out/.index.html.0123abcd.part').touch()
    run(photos / 'a.png', tmp_path / 'out')
    assert len(check_outputs(tmp_path / 'out')) == 1


def test_a_note_that_was_cut_off_costs_no_other(tmp_path):
    with Results(tmp_path, SETTINGS) as results:
        results.claim([(Path('/photos/a.jpg'), 'a')])
    with (tmp_path / '.claims.jsonl').open('a') as file:
        file.write('["/photos/b')
    with Results(tmp_path, SETTINGS) as results:
        results.claim([(Path('/photos/c.jpg'), 'c')])
    with Results(tmp_path, SETTINGS) as results:
        assert list(results.names.values()) == ['a', 'c']


@pytest.mark.parametrize('key', ['outputs', 'size', 'clusters_by_iteration'])
def test_records_have_all_that_is_shown(tmp_path, photos, key):
    run(photos / 'a.png', tmp_path)
    head, line = (tmp_path / 'results.jsonl').read_text().splitlines()
    record = json.loads(line)
    del record[key]
    (tmp_path / 'results.jsonl').write_text(f'{head}\n{json.dumps(record)}\n')
    with pytest.raises(ValueError, match=f"results.jsonl is damaged .*line 2: KeyError.'{key}'"):
        run(photos / 'a.png', tmp_path)


def test_names_that_are_no_text_are_shown(tmp_path):
    with Results(tmp_path, SETTINGS) as results:
        results.add({'file': '/photos/\udce9.jpg', 'name': '\ufffd', 'error': 'x'})
    assert '\ufffd.jpg' in (tmp_path / 'index.html').read_text('utf-8')
    with Results(tmp_path, SETTINGS) as results:
        assert list(results.names) == [Path('/photos/\udce9.jpg')]


def test_pages_show_what_is_there_of_an_image_now(tmp_path, photos):
    run(photos, tmp_path / 'out', Counting(1, MemoryError('too dark')))
    assert 'too dark' in (tmp_path / 'out/index.html').read_text()
    run(photos, tmp_path / 'out')
    text = (tmp_path / 'out/index.html').read_text()
    assert 'too dark' not in text
    assert text.count('<article') == 5
    with Image.open(photos / 'a.png') as image:
        assert f'{image.width} \N{MULTIPLICATION SIGN} {image.height}' in text

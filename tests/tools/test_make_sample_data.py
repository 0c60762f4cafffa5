import numpy as np
import pytest
from PIL import Image

from dynaseg.mmseg.datasets.pipelines.coco_stuff import UNKNOWN, coco_stuff27_table


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }


@pytest.fixture
def make(load_tool, tmp_path):
    """Runs the command; returns the files it wrote."""

    def call(name, *arguments):
        size = ['--train', '2', '--val', '1', '--size', '48', '40']
        tool = load_tool('make_sample_data')
        assert tool.main(['--out', str(tmp_path / name), *size, *arguments]) == 0
        return files(tmp_path / name)

    return call


def test_the_seed_decides_every_byte(make):
    first = make('first', '--seed', '3')
    assert make('again', '--seed', '3') == first
    other = make('other', '--seed', '4')
    assert set(other) == set(first)
    pictures = [name for name in first if name.endswith('.jpeg')]
    assert len(pictures) == 3
    assert all(other[name] != first[name] for name in pictures)


def test_raw_ids_and_unlabelled_edges(make, tmp_path):
    make('data')
    masks = [np.array(Image.open(path)) for path in (tmp_path / 'data').rglob('*.png')]
    assert [mask.shape for mask in masks] == [(40, 48)] * 3
    ids = np.unique(masks)
    assert 255 in ids
    assert (coco_stuff27_table()[ids] != UNKNOWN).all()
    assert len(ids) > 3


@pytest.mark.parametrize('bad', [['--train', '0'], ['--val', '0'], ['--size', '16', '64']])
def test_too_small_is_refused(make, capsys, bad):
    with pytest.raises(SystemExit) as stop:
        make('data', *bad)
    assert stop.value.code == 2
    assert 'must be at least 1, and --size at least 32 32' in capsys.readouterr().err


def test_a_seed_and_a_folder_that_cannot_be_are_refused(make, tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    for bad, message in (
        (('data', '--seed', '-1'), '--seed must be at least 0, got -1'),
        (('file',), '--out must be a folder'),
    ):
        with pytest.raises(SystemExit):
            make(*bad)
        assert message in capsys.readouterr().err

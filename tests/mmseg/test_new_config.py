import pytest

from dynaseg.mmseg.configs import find_config, load_config
from dynaseg.mmseg.new_config import write_new_config

BASE = 'fsf_r18-fpn_100_sample.py'


def test_a_new_config_is_the_base_until_it_is_edited(tmp_path):
    path = write_new_config(tmp_path / 'mine', BASE)
    assert path == tmp_path / 'mine.py'
    mine, base = load_config(path), load_config(BASE)
    assert mine.model == base.model
    assert mine.data == base.data


def test_what_is_commented_out_is_what_the_base_says(tmp_path):
    path = write_new_config(tmp_path / 'mine.py', BASE)
    text = path.read_text()
    lines = [
        line.removeprefix('# ') if line.startswith('# ') else line for line in text.split('\n')
    ]
    start = next(number for number, line in enumerate(lines) if line.startswith('model = dict('))
    end = lines.index(')', start)
    values = {}
    exec('\n'.join(lines[start : end + 1]), values)
    base = load_config(BASE).model
    assert values['model']['backbone'] == base.backbone
    assert values['model']['neck'] == base.neck
    assert values['model']['decode_head']['num_classes'] == base.decode_head.num_classes


def test_a_base_of_ones_own_is_found_from_other_folders(tmp_path, monkeypatch):
    (tmp_path / 'own.py').write_text(f'_base_ = {str(find_config(BASE))!r}\nmark = 1\n')
    monkeypatch.chdir(tmp_path)
    path = write_new_config('mine.py', 'own.py').resolve()
    (tmp_path / 'other').mkdir()
    monkeypatch.chdir(tmp_path / 'other')
    assert load_config(path).mark == 1


def test_files_are_not_overwritten(tmp_path, load_tool, monkeypatch, capsys):
    (tmp_path / 'mine.py').write_text('keep = True')
    with pytest.raises(FileExistsError):
        write_new_config(tmp_path / 'mine.py', BASE)
    tool = load_tool('new_config')
    monkeypatch.setattr('sys.argv', ['new_config', str(tmp_path / 'mine'), '--base', BASE])
    assert tool.main() == 2
    error = f'error: {tmp_path / "mine.py"} already exists; it was not changed\n'
    assert capsys.readouterr().err == error
    assert (tmp_path / 'mine.py').read_text() == 'keep = True'


def test_bases_of_several_data_sets_and_of_no_segmentor(tmp_path):
    base = 'semi_supervised/fcn_efficientnet-lite0_100-dynaseg_camvid.py'
    text = write_new_config(tmp_path / 'mine.py', base).read_text()
    start = text.index('# data = dict(')
    block = text[start : text.index('# )', start) + 3].replace('# ', '')
    values = {}
    exec(block, values)
    assert values['data']['train'] == load_config(base).data.train
    with pytest.raises(ValueError, match=r'expected the config of a segmentor'):
        write_new_config(tmp_path / 'other.py', 'selfsup/densecl_r18_20e_folder.py')


def test_an_unknown_base_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no config 'nope\.py'"):
        write_new_config(tmp_path / 'mine.py', 'nope.py')
    assert not (tmp_path / 'mine.py').exists()


def test_a_copy_needs_another_name_than_its_base(tmp_path):
    name = 'fsf_efficientnet-lite0_200_own-labels.py'
    for base in (name, f'dynaseg/{name}'):
        with pytest.raises(ValueError, match=r'would be found in place of .* another name'):
            write_new_config(tmp_path / name, base)
    assert not (tmp_path / name).exists()

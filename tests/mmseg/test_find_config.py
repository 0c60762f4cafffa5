import pytest

from dynaseg.mmseg.configs import Config, find_config, merge_options


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / 'site/dynaseg').mkdir(parents=True)
    monkeypatch.setattr('dynaseg.mmseg.configs.PACKAGE', tmp_path / 'site/dynaseg')
    return tmp_path / 'site/dynaseg'


@pytest.mark.parametrize('place', ['.mim/configs', '../configs'])
def test_finds_configs_of_installations_and_of_checkouts(package, place):
    path = package / place / 'dynaseg/a.py'
    path.parent.mkdir(parents=True)
    path.touch()
    assert find_config('dynaseg/a.py') == path.resolve()


def test_shipped_configs_come_before_neighbours(package):
    for place in ('.mim/configs', '../configs'):
        (package / place).mkdir(parents=True)
        (package / place / 'a.py').touch()
    assert find_config('a.py') == package / '.mim/configs/a.py'


def test_own_files_come_first(package, tmp_path, monkeypatch):
    (package / '.mim/configs').mkdir(parents=True)
    (package / '.mim/configs/a.py').touch()
    (tmp_path / 'a.py').touch()
    assert find_config(tmp_path / 'a.py') == tmp_path / 'a.py'
    monkeypatch.chdir(tmp_path)
    assert find_config('a.py').resolve() == tmp_path / 'a.py'


def test_unknown_config_is_an_error():
    with pytest.raises(FileNotFoundError, match=r"no config 'nope\.py': neither a file nor"):
        find_config('nope.py')
    with pytest.raises(FileNotFoundError, match=r"did you mean 'fsf_r18-fpn_100_sample\.py'\?"):
        find_config('fsf_r18_100_sample.py')


def test_options_change_a_copy():
    config = Config({'model': {'type': 'DynaSeg', 'test_cfg': {'fit': {'iterations': 3}}}})
    options = ['model.test_cfg.fit.iterations=5', 'model.test_cfg.fit.lr=.1', 'data.size=(2,3)']
    changed = merge_options(config, options)
    assert changed.model.test_cfg.fit == {'iterations': 5, 'lr': 0.1}
    assert changed.data.size == (2, 3)
    assert config.model.test_cfg.fit == {'iterations': 3}


@pytest.mark.parametrize(
    ('option', 'message'),
    [('iterations', "must be KEY=VALUE, got 'iterations'"), ('model.type.x=3', 'model.type.x=3')],
)
def test_options_that_do_not_do_are_named(option, message):
    with pytest.raises(ValueError, match=message):
        merge_options(Config({'model': {'type': 'DynaSeg'}}), [option])

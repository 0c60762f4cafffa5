import argparse
from collections.abc import Collection, Iterable, Sequence
from os import PathLike
from pathlib import Path

from mmcv import Config, DictAction

from dynaseg.mmseg.checks.errors import ConfigError, suggest

PACKAGE = Path(__file__).resolve().parents[1]

__all__ = ['Config', 'DictAction', 'find_config', 'load_config', 'merge_options', 'name_config']


def find_config(name: str | PathLike) -> Path:
    """Find a config: your own file, or one that comes with DynaSeg.

    Args:
        name: path of a config, or a name under DynaSeg's ``configs/`` or ``configs/dynaseg/``,
            which is in the ``.mim`` folder of an installed package, and beside the package in a
            source checkout.

    Returns:
        The config's path.

    Raises:
        FileNotFoundError: if there is no such config.

    Examples:
        >>> find_config('segment.py').parts[-3:]
        ('configs', 'dynaseg', 'segment.py')
    """
    folders = (PACKAGE / '.mim' / 'configs', PACKAGE.parent / 'configs')
    candidates = [folder / below / name for folder in folders for below in ('', 'dynaseg')]
    for candidate in (Path(name), *candidates):
        if candidate.is_file():
            return candidate
    places = [folder for folder in folders if folder.is_dir()]
    known = [path.name for place in places for path in (place / 'dynaseg').glob('*.py')]
    raise FileNotFoundError(
        f'no config {str(name)!r}: neither a file nor a name under '
        f'{", ".join(map(str, places))}{suggest(name, known)}'
    )


def load_config(config: str | PathLike | Config) -> Config:
    """Load a config, and check what MMCV does not.

    Args:
        config: path, name under DynaSeg's ``configs/``, or a loaded config.

    Returns:
        The config.

    Raises:
        FileNotFoundError: if there is no such config.
        ValueError: if the file is not a model config, was written for DynaSeg 0.1, or asks for
            MMCV's mixed precision; the message says what to write.
    """
    if not isinstance(config, Config):
        path = find_config(config)
        try:
            if path.suffix == '.py':
                compile(path.read_bytes(), path, 'exec')  # MMCV's own check leaves a traceback
            config = Config.fromfile(path)
        except Exception as error:  # a config is code: it may raise anything
            raise ValueError(f'{path} is not a valid config: {error}') from error
    name = name_config(config)
    if 'model' not in config:
        raise ValueError(f'{name} is not a valid config: it has no `model`')
    optimizer_hook = (config.get('optimizer_config') or {}).get('type')
    if 'fp16' in config or optimizer_hook == 'Fp16OptimizerHook':
        what = 'fp16' if 'fp16' in config else "optimizer_config.type='Fp16OptimizerHook'"
        raise ValueError(
            f'{name}: {what} has no effect on a DynaSeg: for mixed precision write '
            "optimizer_config=dict(type='AmpOptimizerHook')"
        )
    imports = config.get('custom_imports', {}).get('imports', [])
    if 'dynaseg' in ([imports] if isinstance(imports, str) else imports):
        raise ValueError(
            f"{name}: custom_imports has 'dynaseg', which registers nothing: write 'dynaseg.mmseg'"
        )
    return config


def merge_options(config: Config, options: Sequence[str]) -> Config:
    """Change entries of a config as ``--cfg-options`` does.

    Args:
        config: the config, which is left unchanged.
        options: such as ``'model.decode_head.num_classes=8'``.

    Returns:
        The changed config.

    Raises:
        ValueError: if an option is not ``key=value``, or sets an entry of something that is not a
            dict.

    Examples:
        >>> merge_options(Config({'model': {'type': 'DynaSeg'}}), ['model.seed=3']).model.seed
        3
    """
    for option in options:
        if '=' not in option:
            raise ValueError(f'cfg-options must be KEY=VALUE, got {option!r}')
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument('options', nargs='*', action=DictAction)
    try:
        changes = parser.parse_args(list(options)).options if options else {}
        changed = Config(config._cfg_dict.copy(), filename=config.filename)
        changed.merge_from_dict(changes)
    except (ValueError, TypeError, AssertionError, KeyError, AttributeError) as error:
        raise ValueError(f'cfg-options {" ".join(options)}: {error}') from error
    return changed


def refuse_new_keys(
    options: Iterable[str], known: Collection[str], config: Collection[str]
) -> None:
    """Check that options of a command change what is read from a config.

    Args:
        options: their dotted keys, perhaps with ``=`` and a value.
        known: the top-level keys that have an effect.
        config: the top-level keys of the config. Other ones are its variables, whose values have
            already been used.

    Raises:
        ConfigError: for the first that would have none.
    """
    for option in options:
        key = option.partition('=')[0].partition('.')[0]
        if key in config and key not in known:
            raise ConfigError(
                f'cfg-options: {key} is a variable of the config: set what has its value, such as '
                f'data.train.{key}'
            )
        if key not in known:
            raise ConfigError(f'cfg-options: {key} is not in the config{suggest(key, known)}')


def parse_value(text: str) -> object:
    """Parse the value of an option, as MMCV does but for the spaces, which it removes.

    Args:
        text: a number, True, False, None, or text; or several values, with commas between and
            perhaps in round or square brackets. Values may be in quotes.

    Returns:
        The value; a tuple of values in round brackets, a list of other ones.

    Raises:
        ValueError: if brackets do not match.

    Examples:
        >>> parse_value('(64, 1.5)'), parse_value("[('a', None)]"), parse_value('my photos')
        ((64, 1.5), [('a', None)], 'my photos')
    """
    text = text.strip().strip('\'"').strip()
    kind = {'()': tuple, '[]': list}.get(text[:1] + text[-1:])
    if kind is None and ',' not in text:
        return DictAction._parse_int_float_bool(text)
    values, depth = [''], 0
    for letter in text[1:-1] if kind else text:
        depth += (letter in '([') - (letter in ')]')
        if depth < 0:
            break
        if letter == ',' and not depth:
            values.append('')
        else:
            values[-1] += letter
    if depth:
        raise ValueError(f'brackets of {text!r} do not match')
    if kind is None and len(values) == 1:
        return text  # whose commas are in brackets
    if not values[-1].strip():  # after a last comma, or within empty brackets
        values.pop()
    return (kind or list)(map(parse_value, values))


def name_config(config: Config) -> str:
    """Name a config for an error, by its file if it has one."""
    return config.filename or 'the config'

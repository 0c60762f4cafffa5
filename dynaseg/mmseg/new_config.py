"""A starting point for your own config, in any folder."""

from os import PathLike
from pathlib import Path

from mmcv import Config

from dynaseg.mmseg.configs import load_config

TEMPLATE = """\
# Inherits from {base}. Train and test it with
#     mim train dynaseg {name} --gpus 1
#     mim test dynaseg {name} --checkpoint work_dirs/{stem}/latest.pth --gpus 1 --eval mIoU
# What is set here overrides the base config; everything else is inherited from it. Lines that are
# commented out show the base's values.
from dynaseg.mmseg.configs import find_config

_base_ = str(find_config({given!r}))

# A backbone of another type needs `_delete_=True`, which drops the old keys, including init_cfg and
# its weights, and a head or neck with matching channels.
# model = dict(
{model}
# )

# Images and, if there are labels, the classes.
# data = dict(
{data}
# )

{schedule}
"""
DATA_KEYS = ('type', 'data_root', 'img_dir', 'ann_dir', 'subset', 'classes')


def write_new_config(name: str | PathLike, base: str | PathLike) -> Path:
    """Write a config that inherits from another, with the values you may want to change.

    Args:
        name: path of the new config; ``.py`` is appended if it is missing.
        base: path of a config, or a name under DynaSeg's ``configs/``.

    Returns:
        The path.

    Raises:
        FileExistsError: if there is such a file, which is left unchanged.
        FileNotFoundError: if there is no such base or no such folder.
        ValueError: if the base is not a valid config, or not one of a segmentor, or the new one has
            its name.
    """
    path = Path(name)
    if path.suffix != '.py':
        path = path.with_name(f'{path.name}.py')
    is_own = Path(base).is_file()
    if not is_own and path.name == Path(base).name:
        raise ValueError(f'{path} would be found in place of {base}: give it another name')
    config = load_config(base)
    if 'decode_head' not in config.get('model', {}):
        raise ValueError(f'{base} has no model.decode_head: expected the config of a segmentor')
    # A shipped config is found by its name wherever the package is; your own by its full path.
    given = str(Path(base).resolve()) if is_own else str(base)
    content = TEMPLATE.format(
        base=given,
        given=given,
        name=path.name,
        stem=path.stem,
        model=_comment(_list_model(config)),
        data=_comment(_list_data(config)),
        schedule=_comment(_list_schedule(config), indent=''),
    )
    with open(path, 'x', encoding='utf-8') as file:
        file.write(content)
    return path


def _list_model(config: Config) -> list[str]:
    model = config.model
    lines = [f'backbone={_show(model.backbone)},']
    if model.get('neck'):
        lines.append(f'neck={_show(model.neck)},')
    head = {
        key: model.decode_head[key]
        for key in ('in_channels', 'in_index', 'num_classes')
        if key in model.decode_head
    }
    return [*lines, f'decode_head={_show(head)},']


def _list_data(config: Config) -> list[str]:
    data = config.get('data', {})
    lines = [f'samples_per_gpu={data.samples_per_gpu!r},'] if 'samples_per_gpu' in data else []
    for subset in ('train', 'val', 'test'):
        if subset in data:
            lines.append(f'{subset}={_show(_choose(data[subset]))},')
    return lines


def _choose(dataset: dict | list) -> dict | list:
    """Choose what one may want to change of a data set; of several, all."""
    if isinstance(dataset, list):
        return dataset  # for a list replaces the base's whole
    chosen = {key: dataset[key] for key in DATA_KEYS if key in dataset}
    if 'dataset' in dataset:  # which is repeated
        chosen['dataset'] = _choose(dataset['dataset'])
    return chosen


def _list_schedule(config: Config) -> list[str]:
    keys = ('optimizer', 'runner', 'evaluation')
    return [f'{key} = {_show(config[key])}' for key in keys if config.get(key)]


def _show(value: object) -> str:
    """Write a value as configs do: dicts by their keys, also in lists."""
    if isinstance(value, list):
        return f'[{", ".join(map(_show, value))}]'
    if isinstance(value, dict):
        return f'dict({", ".join(f"{key}={_show(one)}" for key, one in value.items())})'
    return repr(value)


def _comment(lines: list[str], indent: str = '    ') -> str:
    return '\n'.join(f'# {indent}{line}' for line in lines)

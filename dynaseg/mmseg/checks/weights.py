"""Checks of weight files: whether they can be read, and are of the network that loads them."""

import os
from collections.abc import Mapping, Sequence

from mmcv.runner import CheckpointLoader
from torch import Tensor, nn

from dynaseg.io.files import is_damaged, name_some
from dynaseg.mmseg.checks.errors import ConfigError, explain

# Parts of a segmentor; a checkpoint whose weights of these differ is of another network.
PARTS = ('backbone', 'neck', 'decode_head', 'auxiliary_head')
# What networks compute or resize themselves.
COMPUTED = ('num_batches_tracked', 'relative_position_index')
HOW_IN_PART = 'to load it partially, list the prefixes of the other names in model.allow_missing'
RESIZED = ('pos_embed', 'absolute_pos_embed', 'relative_position_bias_table')


def read_weights(
    key: str, path: str, entries: Sequence[str] = ('state_dict',)
) -> dict[str, Tensor]:
    """Read the weights of a file or a URL.

    Args:
        key: what an error calls it: the key of the config or the option.
        path: what MMCV's ``CheckpointLoader`` reads.
        entries: the keys under which a checkpoint may hold them, if not directly.

    Returns:
        The weights by name, without the prefix that distributed training adds.

    Raises:
        ConfigError: if there are none; it says why.
    """
    if os.path.isfile(path) and os.path.getsize(path) == 0:
        raise ConfigError(f'{key}={path!r} is an empty file, perhaps of an interrupted training')
    if is_damaged(path):
        raise ConfigError(f'{key}={path!r} is damaged')
    try:
        checkpoint = CheckpointLoader.load_checkpoint(path, map_location='cpu', logger='silent')
    except FileNotFoundError:
        raise ConfigError(f'{key}={path!r}: there is no such file') from None
    except Exception as error:  # from any loader, or from unpickling any content
        if '://' in path:
            raise ConfigError(
                f'{key}={path!r} cannot be downloaded: {explain(error)}\nWithout a network, get '
                'the file elsewhere and give its path'
            ) from error
        # PyTorch goes on to say how to load it anyway, which would not be safe.
        reason = explain(error).partition(' Please use')[0]
        raise ConfigError(f'{key}={path!r} cannot be read as PyTorch weights: {reason}') from error
    weights = checkpoint
    for name in entries:
        if isinstance(weights, Mapping) and isinstance(weights.get(name), Mapping):
            weights = weights[name]
    if not isinstance(weights, Mapping) or not any(
        isinstance(value, Tensor) for value in weights.values()
    ):
        found = f', got {name_some(list(weights))}' if isinstance(weights, Mapping) else ''
        raise ConfigError(f'{key}={path!r} holds no weights: expected a state_dict{found}')
    return {name.removeprefix('module.'): value for name, value in weights.items()}


def compare_weights(
    expected: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
    allow_missing: Sequence[str] = (),
) -> str | None:
    """Say how weights differ from those that a network needs.

    Args:
        expected: the network's.
        given: those of a file.
        allow_missing: prefixes of names that the file may lack or hold in other shapes.

    Returns:
        The difference in one line, or None.

    Examples:
        >>> import torch
        >>> compare_weights({'a': torch.zeros(2), 'b': torch.zeros(3)}, {'a': torch.zeros(4)})
        '1 of 2 weights are missing (b), 1 have other shapes (a: (4,), not (2,))'
    """
    names = [
        name
        for name in expected
        if not name.endswith(COMPUTED) and not name.startswith(tuple(allow_missing))
    ]
    missing = [name for name in names if name not in given]
    unequal = [
        f'{name}: {tuple(given[name].shape)}, not {tuple(expected[name].shape)}'
        for name in names
        if name in given
        and given[name].shape != expected[name].shape
        and not name.endswith(RESIZED)
    ]
    parts = []
    if missing:
        parts.append(f'{len(missing)} of {len(names)} weights are missing ({name_some(missing)})')
    if unequal:
        parts.append(f'{len(unequal)} have other shapes ({name_some(unequal)})')
    return ', '.join(parts) or None


def take_part(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Take the weights whose names begin with a prefix, without it.

    Examples:
        >>> take_part({'backbone.a': 1, 'head.a': 2}, 'backbone')
        {'a': 1}
    """
    start = f'{prefix.removesuffix(".")}.'
    return {
        name.removeprefix(start): value for name, value in weights.items() if name.startswith(start)
    }


def refuse_other_segmentor(
    model: nn.Module,
    given: Mapping[str, Tensor],
    allow_missing: Sequence[str] = (),
    source: str = 'the checkpoint',
) -> None:
    """Raise an error if a checkpoint is of another segmentor.

    Args:
        model: the segmentor.
        given: the checkpoint's weights, by the model's names.
        allow_missing: see :func:`compare_weights`.
        source: what an error calls the checkpoint.

    Raises:
        ConfigError: if weights of a part are missing, have other shapes, or have no place.
    """
    expected = {
        name: value for name, value in model.state_dict().items() if name.partition('.')[0] in PARTS
    }
    difference = compare_weights(expected, given, allow_missing)
    allowed = tuple(allow_missing)
    unknown = [
        name
        for name in given
        if name.partition('.')[0] in PARTS
        and name not in expected
        and not name.endswith(COMPUTED)
        and not name.startswith(allowed)
    ]
    if unknown:
        text = f'{len(unknown)} have no place in the model ({name_some(unknown)})'
        difference = f'{difference}, {text}' if difference else text
    if difference:
        raise ConfigError(f'{source} is of another network: {difference}\n{HOW_IN_PART}')


def check_pretrained(model: nn.Module, allow_missing: Sequence[str] = ()) -> None:
    """Check the files of every ``init_cfg=dict(type='Pretrained', checkpoint=...)`` of a model.

    Args:
        model: the segmentor.
        allow_missing: see :func:`compare_weights`; by the segmentor's names.

    Raises:
        ConfigError: if one cannot be read or is of another network; it names the key.
    """
    for place, module in model.named_modules():
        if not _starts_from_a_file(module):
            continue
        initial = module.init_cfg
        path = initial['checkpoint']
        key = '.'.join(part for part in ('model', place, 'init_cfg.checkpoint') if part)
        part = getattr(module, 'pretrained_part', module)
        own = part is not module or type(module).__name__ == 'SwinTransformer'
        given = read_weights(key, path, ('state_dict', 'model') if own else ('state_dict',))
        prefix = initial.get('prefix')
        if prefix is None and place and any(name.startswith('backbone.') for name in given):
            # Of a whole model; Swin takes the backbone out of it, others need the prefix.
            prefix = 'backbone.'
            if type(module).__name__ != 'SwinTransformer':
                raise ConfigError(
                    f"{key}={path!r} holds a whole model: give init_cfg.prefix='backbone.' as well"
                )
        if prefix is not None:
            given = take_part(given, prefix)
        inside = f'{place}.' if place else ''
        allowed = [
            name.removeprefix(inside) if name.startswith(inside) else ''
            for name in (allow_missing if part is module else ())  # others take all or none
            if name.startswith(inside) or inside.startswith(name)
        ]
        difference = compare_weights(part.state_dict(), given, allowed)
        if difference:
            advice = f'\n{HOW_IN_PART}' if part is module else ''
            raise ConfigError(
                f'{key}={path!r} is of another network than {type(module).__name__}: {difference}'
                f'{advice}'
            )


def list_random(model: nn.Module) -> dict[str, nn.Module]:
    """List the backbones of a segmentor that start from random weights, by their keys.

    Others load a file, of their own or of the segmentor, or are meant to start from random weights.
    """
    if _starts_from_a_file(model) or _starts_from_a_file(model.backbone):
        return {}
    key = 'model.backbone'
    found = {key: model.backbone}
    if hasattr(model.backbone, 'backbones'):
        joined = model.backbone.backbones
        found = {f'{key}.backbones.{number}': one for number, one in enumerate(joined)}
    return {
        key: backbone
        for key, backbone in found.items()
        if type(backbone).__name__ != 'PlainCNN'  # the paper's, which is trained from scratch
        and not getattr(backbone, 'pretrained', False)
        and not _starts_from_a_file(backbone)
    }


def _starts_from_a_file(module: nn.Module) -> bool:
    initial = getattr(module, 'init_cfg', None)
    return isinstance(initial, Mapping) and initial.get('type') == 'Pretrained'


def describe_random_weights(model: nn.Module) -> str | None:
    """Say which of a segmentor's backbones starts from random weights, if one does."""
    random = list_random(model)
    if not random:
        return None
    key, backbone = next(iter(random.items()))
    return (
        f'{key}: {type(backbone).__name__} starts from random weights; give it '
        "init_cfg=dict(type='Pretrained', checkpoint=...), or load a checkpoint"
    )

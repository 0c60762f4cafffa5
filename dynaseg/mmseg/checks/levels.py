"""A dry run on an image of zeros: whether backbone, neck and head fit together."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from dynaseg.mmseg.checks.errors import ConfigError, explain, naming

# The sides of the image; some transformers take only the second.
SIDES = (64, 224)


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Compute without gradients, leaving statistics, modes and random states unchanged."""
    modes = {module: module.training for module in model.modules()}
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            model.eval()
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def check_levels(model: nn.Module, parts: Mapping[str, Mapping | None], channels: int) -> None:
    """Check that the backbone, the neck and the head of a segmentor fit together.

    Args:
        model: the segmentor, on the CPU.
        parts: the configs of ``backbone``, ``neck`` and ``decode_head``.
        channels: number of channels of the images that the backbone sees.

    Raises:
        ConfigError: if they do not; it names the key, what was found and what was expected.
    """
    with undisturbed(model):
        levels = _run_backbone(model.backbone, parts['backbone'], channels)
        source = 'model.backbone'
        if parts.get('neck') is not None:
            levels = _run_neck(model.neck, parts['neck'], levels)
            source = 'model.neck'
        _run_head(model.decode_head, parts['decode_head'], levels, source)


def check_image_size(model: nn.Module, size: tuple[int, int], channels: int, source: str) -> None:
    """Check that images of a size give a response map of at least 2 x 2.

    Args:
        model: the segmentor.
        size: height and width of the images.
        channels: number of channels of the images that the backbone sees.
        source: the key that decides the size.

    Raises:
        ConfigError: if they do not.
    """
    device = next(model.parameters()).device
    with undisturbed(model), naming(f'{source} gives images of {size[0]} x {size[1]}'):
        img = torch.zeros(1, channels, *size, device=device)
        response = model.response(model.see_in_training(img))
    height, width = response.shape[2:]
    if min(height, width) < 2:
        raise ConfigError(
            f'{source} gives images of {size[0]} x {size[1]} pixels, from which model.backbone '
            f'makes features of {height} x {width}:\nexpected at least 2 x 2, since the loss '
            'compares neighbours; use larger images or a level of smaller stride'
        )


def _run_backbone(backbone: nn.Module, config: Mapping, channels: int) -> list[Tensor]:
    for side in SIDES:
        try:
            levels = backbone(torch.zeros(1, channels, side, side))
            break
        except Exception as error:  # any network may raise anything
            failure = error
    else:
        first = next((one for one in backbone.modules() if isinstance(one, nn.Conv2d)), None)
        if first is not None and first.in_channels != channels:
            raise ConfigError(
                f'model.backbone.in_channels={first.in_channels}: expected {channels}, the '
                'channels of its input'
            )
        raise ConfigError(
            f'model.backbone: {config["type"]} fails on an image of {SIDES[0]} x {SIDES[0]}: '
            f'{explain(failure)}'
        )
    return _check_maps('model.backbone', config, levels)


def _run_neck(neck: nn.Module, config: Mapping, levels: list[Tensor]) -> list[Tensor]:
    try:
        found = neck(levels)
    except Exception as error:
        given, expected = config.get('in_channels'), _channels(levels)
        if isinstance(given, Sequence) and list(given) != expected:
            raise ConfigError(
                f'model.neck.in_channels={list(given)}: expected {expected}, the channels of the '
                f'levels of model.backbone (out_indices)'
            ) from error
        raise ConfigError(
            f'model.neck: {config["type"]} fails on the levels of model.backbone, with channels '
            f'{expected}: {explain(error)}'
        ) from error
    return _check_maps('model.neck', config, found)


def _run_head(head: nn.Module, config: Mapping, levels: list[Tensor], source: str) -> None:
    given = config.get('in_index', getattr(head, 'in_index', 0))
    indices = list(given) if isinstance(given, Sequence) else [given]
    for index in indices:
        if not -len(levels) <= index < len(levels):
            raise ConfigError(
                f'model.decode_head.in_index={given}: expected 0 to {len(levels) - 1}, since '
                f'{source} gives {len(levels)} levels'
            )
    expected = [levels[index].shape[1] for index in indices]
    channels = config.get('in_channels')
    channels = list(channels) if isinstance(channels, Sequence) else [channels]
    if channels != expected:
        several = isinstance(given, Sequence)
        raise ConfigError(
            f'model.decode_head.in_channels={channels if several else channels[0]}: expected '
            f'{expected if several else expected[0]}, the channels of {source} at '
            f'in_index={given}'
        )
    with naming('model.decode_head'):
        head(levels)


def _check_maps(key: str, config: Mapping, levels: object) -> list[Tensor]:
    """Check that a part returns a list of feature maps."""
    if not isinstance(levels, (list, tuple)):
        raise ConfigError(
            f'{key}: {config["type"]} gives one {type(levels).__name__}: expected a list of levels'
        )
    for number, level in enumerate(levels):
        if not (isinstance(level, Tensor) and level.ndim == 4):
            kind = tuple(level.shape) if isinstance(level, Tensor) else type(level).__name__
            raise ConfigError(
                f'{key}: level {number} of {config["type"]} is {kind}: expected (N, C, h, w)'
            )
    return list(levels)


def _channels(levels: Sequence[Tensor]) -> list[int]:
    return [level.shape[1] for level in levels]

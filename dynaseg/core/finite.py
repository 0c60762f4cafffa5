"""Weights that are not finite."""

from collections.abc import Mapping

import torch
from torch import Tensor


def find_not_finite(weights: Mapping[str, Tensor]) -> list[str]:
    """List the names of the tensors that hold NaN or infinities.

    Examples:
        >>> find_not_finite({'a': torch.ones(2), 'b': torch.tensor([1.0, torch.inf])})
        ['b']
    """
    return [
        name
        for name, value in weights.items()
        if value.is_floating_point() and not bool(torch.isfinite(value).all())
    ]


def describe_not_finite(weights: Mapping[str, Tensor]) -> str | None:
    """Say which weights are not finite; None where all are.

    Examples:
        >>> describe_not_finite({'bias': torch.tensor([torch.nan])})
        'the weights are not finite: bias'
    """
    names = find_not_finite(weights)
    if not names:
        return None
    others = f' and {len(names) - 1} more' if len(names) > 1 else ''
    return f'the weights are not finite: {names[0]}{others}'

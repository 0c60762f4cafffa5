"""Numbers that are not finite end a training, or are refused, by name."""

import math
from collections.abc import Mapping

import torch
from mmcv.runner import Hook, IterBasedRunner
from torch import Tensor, nn

from dynaseg.mmseg.errors import UserError


def find_not_finite(weights: Mapping[str, Tensor]) -> list[str]:
    """List the names of the tensors that hold NaN or infinities.

    Example:
        >>> find_not_finite({'a': torch.ones(2), 'b': torch.tensor([1.0, torch.inf])})
        ['b']
    """
    return [
        name
        for name, value in weights.items()
        if value.is_floating_point() and not bool(torch.isfinite(value).all())
    ]


def describe_not_finite(weights: nn.Module | Mapping[str, Tensor]) -> str | None:
    """Say which weights of a network are not finite; None where all are.

    Example:
        >>> describe_not_finite({'bias': torch.tensor([torch.nan])})
        'the weights are not finite: bias'
    """
    if isinstance(weights, nn.Module):
        weights = {
            name.removeprefix('module.'): value for name, value in weights.state_dict().items()
        }
    names = find_not_finite(weights)
    if not names:
        return None
    others = f' and {len(names) - 1} others' if len(names) > 1 else ''
    return f'the weights are not finite: {names[0]}{others}'


class FiniteHook(Hook):
    """Ends a training whose weights, learning rate or loss are not finite, and says which."""

    def before_run(self, runner: IterBasedRunner) -> None:
        """Check the weights with which the training starts."""
        problem = describe_not_finite(runner.model)
        if problem:
            raise UserError(f'before iteration {runner.iter + 1}: {problem}')

    def before_train_iter(self, runner: IterBasedRunner) -> None:
        """Check the learning rates of the iteration."""
        for number, group in enumerate(runner.optimizer.param_groups):
            if not math.isfinite(group['lr']):
                raise UserError(
                    f'{self._where(runner)}: the learning rate of parameter group {number} is '
                    f'{group["lr"]}: see optimizer.lr and lr_config'
                )

    def after_train_iter(self, runner: IterBasedRunner) -> None:
        """Check what is logged of the loss, which is on the CPU already."""
        values = runner.outputs.get('log_vars', {})
        parts = [f'{name} is {value}' for name, value in values.items() if not math.isfinite(value)]
        if parts:
            problem = describe_not_finite(runner.model)
            cause = problem or 'the weights are still finite: see the images and model.img_norm_cfg'
            rates = sorted({group['lr'] for group in runner.optimizer.param_groups})
            raise UserError(
                f'{self._where(runner)}: {", ".join(parts)}; {cause}; the learning rate is '
                f'{", ".join(f"{rate:.3g}" for rate in rates)}'
            )

    @staticmethod
    def _where(runner: IterBasedRunner) -> str:
        return f'iteration {runner.iter + 1} of {runner.max_iters}'

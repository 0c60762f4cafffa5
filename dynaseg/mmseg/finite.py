import math

from mmcv.parallel import is_module_wrapper
from mmcv.runner import Hook, IterBasedRunner
from torch import nn

from dynaseg.core.finite import describe_not_finite
from dynaseg.mmseg.errors import UserError


def describe_network(model: nn.Module) -> str | None:
    """Say which weights of a network, wrapped or not, are not finite; None if all are finite."""
    model = model.module if is_module_wrapper(model) else model
    return describe_not_finite(model.state_dict())


class FiniteHook(Hook):
    """Stops a training whose weights, learning rate or loss are not finite, and says which."""

    def before_run(self, runner: IterBasedRunner) -> None:
        """Check the weights with which the training starts."""
        problem = describe_network(runner.model)
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
        """Check the logged losses, which are on the CPU already."""
        values = runner.outputs.get('log_vars', {})
        parts = [f'{name} is {value}' for name, value in values.items() if not math.isfinite(value)]
        if parts:
            problem = describe_network(runner.model)
            cause = problem or 'the weights are still finite: see the images and model.img_norm_cfg'
            rates = sorted({group['lr'] for group in runner.optimizer.param_groups})
            raise UserError(
                f'{self._where(runner)}: {", ".join(parts)}; {cause}; the learning rate is '
                f'{", ".join(f"{rate:.3g}" for rate in rates)}'
            )

    @staticmethod
    def _where(runner: IterBasedRunner) -> str:
        return f'iteration {runner.iter + 1} of {runner.max_iters}'

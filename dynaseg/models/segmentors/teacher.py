from copy import deepcopy

import torch
from torch import Tensor, nn


class RunningMeanTeacher(nn.Module):
    """A network whose weights are the running mean of another's (Tarvainen, Valpola, NeurIPS 2017).

    It takes part in no gradient and is always in evaluation mode. At update t, counted from 0, the
    momentum is no more than 1 - 1 / (t + 1), so that the first one copies the weights.

    Args:
        network: the network that is followed.
        momentum: share of the mean that stays at an update, in [0, 1).

    Raises:
        ValueError: if the momentum is out of its range.

    Example:
        >>> student = nn.Linear(1, 1, bias=False)
        >>> teacher = RunningMeanTeacher(student, momentum=0.9)
        >>> for value in (4.0, 2.0):
        ...     _ = nn.init.constant_(student.weight, value)
        ...     teacher.update(student)
        >>> teacher.network.weight.item()
        3.0
    """

    def __init__(self, network: nn.Module, momentum: float = 0.99) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise ValueError(f'momentum must lie in [0, 1), got {momentum!r}')
        self.network = deepcopy(network).requires_grad_(False).eval()
        self.momentum = momentum
        self.register_buffer('updates', torch.zeros((), dtype=torch.int64))

    def train(self, mode: bool = True) -> 'RunningMeanTeacher':
        """Stay in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move towards the weights and running statistics of the network."""
        share = 1 - torch.clamp(1 - 1 / (self.updates + 1), max=self.momentum)
        self.updates += 1
        for mine, theirs in zip(
            self.network.state_dict().values(), network.state_dict().values(), strict=True
        ):
            if mine.is_floating_point():
                mine.lerp_(theirs, share.to(mine))
            else:
                mine.copy_(theirs)

    @torch.no_grad()
    def forward(self, *inputs: Tensor) -> Tensor:
        """Run the network."""
        return self.network(*inputs)

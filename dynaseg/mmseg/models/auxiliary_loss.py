from mmcv.runner import HOOKS, BaseRunner, Hook
from mmseg.models.builder import LOSSES
from torch import Tensor

from dynaseg.core.losses import DynaSegLoss


@LOSSES.register_module()
class DynaSegAuxiliaryLoss(DynaSegLoss):
    """DynaSeg's loss in training with labels: one of the losses of any MMSegmentation decode head.

    Every pixel takes part, whether it is labelled or not, so that images without labels train the
    head as well. The loss is computed from the logits at the size of the masks, with the gradients
    of :class:`dynaseg.core.DynaSegLoss` times ``loss_weight``.

    Args:
        loss_weight: its weight among the head's losses.
        loss_name: its name in the log; it begins with ``loss``.
        **kwargs: ``weighting``, ``mu`` and ``entropy_weight`` of ``DynaSegLoss``.

    Attributes:
        parts: what ``DynaSegLoss`` returned last, detached; :class:`LossPartsHook` logs it.

    Raises:
        ValueError: see ``DynaSegLoss``; also if ``loss_weight`` is negative, or ``loss_name`` does
            not begin with ``loss``, since MMSegmentation would not add it up.

    Examples:
        >>> import torch
        >>> logits, masks = torch.rand(2, 11, 8, 8), torch.full((2, 8, 8), 255)
        >>> DynaSegAuxiliaryLoss(loss_weight=0.1)(logits, masks).shape
        torch.Size([])
    """

    def __init__(self, loss_weight: float = 1.0, loss_name: str = 'loss_dynaseg', **kwargs) -> None:
        super().__init__(**kwargs, reduction='mean')
        if not loss_weight >= 0:
            raise ValueError(f'loss_weight must be at least 0, got {loss_weight!r}')
        if not loss_name.startswith('loss'):
            raise ValueError(f"loss_name must begin with 'loss', got {loss_name!r}")
        self.loss_weight = loss_weight
        self.loss_name = loss_name
        self.parts: dict[str, Tensor] = {}

    def forward(self, cls_score: Tensor, label: Tensor | None = None, **kwargs) -> Tensor:
        """Compute the loss for a decode head.

        Args:
            cls_score: logits, (N, C, H, W).
            label: not used.
            **kwargs: not used; heads pass ``weight`` and ``ignore_index``.

        Returns:
            The weighted sum of the parts, a scalar.
        """
        parts = super().forward(cls_score)
        self.parts = {name: value.detach() for name, value in parts.items()}
        losses = [value for name, value in parts.items() if name.startswith('loss')]
        return self.loss_weight * sum(losses)


@HOOKS.register_module()
class LossPartsHook(Hook):
    """Logs the parts of every :class:`DynaSegAuxiliaryLoss`, without its ``loss_weight``.

    The names are those of ``DynaSegLoss``, after the name of the loss: ``loss_dynaseg.loss_sim``,
    ``loss_dynaseg.weight`` and so on. In distributed training the values are those of the first
    process.
    """

    def after_train_iter(self, runner: BaseRunner) -> None:
        """Add the parts of this iteration to the log."""
        for module in runner.model.modules():
            if isinstance(module, DynaSegAuxiliaryLoss):
                runner.log_buffer.update(
                    {
                        f'{module.loss_name}.{name}': value.item()
                        for name, value in module.parts.items()
                    }
                )

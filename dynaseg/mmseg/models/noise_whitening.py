from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmseg.models.builder import NECKS
from torch import Tensor

from dynaseg.core.whitening import AffineTransform
from dynaseg.mmseg.models.normalized_levels import NormalizedLevels
from dynaseg.mmseg.scratch import is_given


@NECKS.register_module()
class NoiseWhitening(NormalizedLevels):
    """Levels of :class:`NormalizedLevels`, noise-whitened and scaled to unit length again.

    :class:`~dynaseg.mmseg.NoiseWhiteningHook` fits the transform, which checkpoints hold, to the
    training set; until then it is a random projection. See :mod:`dynaseg.core.whitening`.

    Args:
        in_channels: total number of channels of the levels.
        out_channels: number of components that are kept.
        target: see :class:`NormalizedLevels`.
        init_cfg: as for every MMCV module.

    Attributes:
        was_loaded: whether the transform comes from a checkpoint, in which it has this shape.

    Examples:
        >>> neck = NoiseWhitening(in_channels=10, out_channels=3, target=1)
        >>> features, = neck([torch.rand(1, 4, 8, 8), torch.rand(1, 6, 4, 4)])
        >>> features.shape, features.norm(dim=1).round(decimals=4).unique().tolist()
        (torch.Size([1, 3, 4, 4]), [1.0])
    """

    def __init__(
        self, in_channels: int, out_channels: int, target: int = 0, init_cfg: dict | None = None
    ) -> None:
        super().__init__(target, init_cfg)
        self.register_buffer('mean', torch.zeros(in_channels))
        self.register_buffer('matrix', torch.empty(out_channels, in_channels))
        self.was_loaded = False
        self.reset_parameters()

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        self.was_loaded = is_given(self.matrix, state_dict, prefix + 'matrix')
        super()._load_from_state_dict(state_dict, prefix, *args)

    def reset_parameters(self) -> None:
        """Draw a random projection."""
        self.mean.zero_()
        torch.nn.init.orthogonal_(self.matrix)

    def align(self, levels: Sequence[Tensor]) -> Tensor:
        """Concatenate levels, each (N, C, h, w), for whitening; (N, in_channels, H, W)."""
        return super().forward(levels)[0]

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor]:
        """Whiten levels, each (N, C, h, w); returns one level, (N, out_channels, H, W)."""
        offset = self.matrix @ self.mean
        whitened = F.conv2d(self.align(levels), self.matrix[:, :, None, None], -offset)
        return (F.normalize(whitened, dim=1),)

    def set_transform(self, transform: AffineTransform) -> None:
        """Set the transform from ``in_channels`` to ``out_channels``."""
        self.mean.copy_(transform.mean)
        self.matrix.copy_(transform.matrix)

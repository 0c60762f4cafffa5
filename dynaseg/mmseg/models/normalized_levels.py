from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.runner import BaseModule
from mmseg.models.builder import NECKS
from torch import Tensor


@NECKS.register_module()
class NormalizedLevels(BaseModule):
    """Feature levels of unit length at each pixel, brought to one size and concatenated.

    Distances between such features are cosine distances that count every level alike, however
    large its activations. The neck has no weights.

    Args:
        target: index of the level to whose size all are resized: larger ones by averaging, smaller
            ones by bilinear interpolation.
        init_cfg: as for every MMCV module.

    Examples:
        >>> import torch
        >>> neck = NormalizedLevels(target=1)
        >>> features, = neck([torch.rand(1, 4, 8, 8), torch.rand(1, 6, 4, 4)])
        >>> features.shape, features[:, 4:].norm(dim=1).round(decimals=4).unique().tolist()
        (torch.Size([1, 10, 4, 4]), [1.0])
    """

    def __init__(self, target: int = 0, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.target = target

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor]:
        """Concatenate levels, each (N, C, h, w); returns one level, (N, sum of C, H, W)."""
        if not -len(levels) <= self.target < len(levels):
            raise ValueError(f'target={self.target}: expected one of {len(levels)} levels, from 0')
        size = levels[self.target].shape[2:]
        parts = []
        for level in levels:
            smaller = tuple(map(min, level.shape[2:], size))
            if level.shape[2:] != smaller:
                level = F.adaptive_avg_pool2d(level, smaller)
            if level.shape[2:] != size:
                level = F.interpolate(level, size, mode='bilinear', align_corners=False)
            parts.append(F.normalize(level, dim=1))
        return (torch.cat(parts, dim=1),)

from collections.abc import Sequence

from mmcv.runner import BaseModule, ModuleList
from mmseg.models.builder import BACKBONES, build_backbone
from torch import Tensor


@BACKBONES.register_module()
class JoinedBackbones(BaseModule):
    """Several backbones that see the same images; a neck gets the levels of all of them.

    Networks that were trained separately see different things: the concatenated features of two
    (:class:`NormalizedLevels`, :class:`NoiseWhitening`) distinguish more classes than either's.

    Args:
        backbones: configs of MMSegmentation backbones, which all see images as
            ``model.img_norm_cfg`` normalises them.
        init_cfg: as for every MMCV module; each backbone has its own.

    Examples:
        >>> import torch
        >>> backbone = JoinedBackbones([
        ...     dict(type='EfficientNetLite0', out_indices=(3, 4), pretrained=False),
        ...     dict(type='EfficientNetLite2', out_indices=(3,), pretrained=False),
        ... ])
        >>> [level.shape[1] for level in backbone(torch.rand(1, 3, 64, 96))]
        [112, 320, 120]
    """

    def __init__(self, backbones: Sequence[dict], init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.backbones = ModuleList([build_backbone(config) for config in backbones])

    def forward(self, img: Tensor) -> tuple[Tensor, ...]:
        """Compute the levels of images, (N, 3, H, W), each (N, C, h, w), backbone by backbone."""
        return tuple(level for backbone in self.backbones for level in backbone(img))

from collections.abc import Sequence

from mmcv.runner import BaseModule
from mmseg.models.builder import BACKBONES

from dynaseg.core import networks


@BACKBONES.register_module()
class PlainCNN(networks.PlainCNN, BaseModule):
    """:class:`dynaseg.core.PlainCNN` as a backbone.

    Args:
        in_channels: channels of the image.
        channels: channels of the features.
        num_blocks: number of blocks.
        out_indices: the blocks whose features are returned; the last one by default.
        init_cfg: initialisation, as for every MMCV module.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: int = 100,
        num_blocks: int = 2,
        out_indices: Sequence[int] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(in_channels, channels, num_blocks, out_indices)
        self.init_cfg = init_cfg

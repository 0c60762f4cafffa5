from collections.abc import Sequence

from mmcv.runner import BaseModule
from mmseg.models.builder import BACKBONES
from torch import Tensor, nn


@BACKBONES.register_module()
class PlainCNN(BaseModule):
    """The convolutional feature extractor of Kim et al. (IEEE TIP 2020) and DynaSeg.

    ``num_blocks`` blocks of 3x3 convolution, ReLU and batch normalisation at the image's own
    resolution: no pooling and no strides.

    Args:
        in_channels: channels of the image.
        channels: channels of the features (p in the paper).
        num_blocks: number of blocks (M in the paper).
        padding_mode: how the convolutions see beyond the border, as ``torch.nn.Conv2d`` has it.
            Zeros are the paper's; they make the border look unlike the rest, so that it may get
            clusters of its own, which ``'reflect'`` avoids.
        out_indices: the blocks whose features are returned; the last one by default.
        init_cfg: initialisation, as for every module of MMCV.

    Raises:
        ValueError: if an entry of ``out_indices`` names no block.

    Example:
        >>> import torch
        >>> features, = PlainCNN(channels=16, num_blocks=2)(torch.rand(1, 3, 20, 30))
        >>> features.shape
        torch.Size([1, 16, 20, 30])
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: int = 100,
        num_blocks: int = 2,
        padding_mode: str = 'zeros',
        out_indices: Sequence[int] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.out_indices = tuple(out_indices) if out_indices is not None else (num_blocks - 1,)
        if not all(0 <= index < num_blocks for index in self.out_indices):
            raise ValueError(
                f'out_indices must lie in [0, {num_blocks}) (num_blocks={num_blocks}), '
                f'got {self.out_indices}'
            )
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(
                    in_channels if block == 0 else channels,
                    channels,
                    3,
                    padding=1,
                    padding_mode=padding_mode,
                ),
                nn.ReLU(inplace=True),
                nn.BatchNorm2d(channels),
            )
            for block in range(num_blocks)
        )

    def forward(self, img: Tensor) -> tuple[Tensor, ...]:
        """Extract features.

        Args:
            img: normalised images, (N, in_channels, H, W).

        Returns:
            The features of the blocks in ``out_indices``, each (N, channels, H, W).
        """
        features = []
        for index, block in enumerate(self.blocks):
            img = block(img)
            if index in self.out_indices:
                features.append(img)
        return tuple(features)

from collections.abc import Sequence

from mmcv.cnn import build_norm_layer
from mmseg.models.builder import HEADS
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor


@HEADS.register_module()
class ResponseHead(BaseDecodeHead):
    """Maps features to the normalised response map: 1x1 convolution, then batch normalisation.

    It takes the features of any backbone or neck of MMSegmentation. Several levels are resized to
    the first one's resolution and concatenated.

    Args:
        in_channels: channels of the features; a sequence if ``in_index`` is one.
        num_classes: channels of the response map, the largest number of clusters (q).
        in_index: the feature level, or several of them.
        norm_cfg: the normalisation of the response map.
        loss_decode: the loss; DynaSeg's by default.
        **kwargs: further arguments of MMSegmentation's ``BaseDecodeHead``.

    Example:
        >>> import torch
        >>> head = ResponseHead(in_channels=[8, 16], in_index=[0, 1], num_classes=5)
        >>> head([torch.rand(2, 8, 12, 12), torch.rand(2, 16, 6, 6)]).shape
        torch.Size([2, 5, 12, 12])
    """

    def __init__(
        self,
        in_channels: int | Sequence[int],
        num_classes: int = 100,
        in_index: int | Sequence[int] = 0,
        norm_cfg: dict | None = None,
        loss_decode: dict | None = None,
        **kwargs,
    ) -> None:
        several = isinstance(in_index, Sequence)
        kwargs.setdefault('init_cfg', None)  # as PyTorch initialises, not the narrow std of FCN
        super().__init__(
            in_channels=in_channels,
            channels=sum(in_channels) if several else in_channels,
            num_classes=num_classes,
            in_index=in_index,
            input_transform='resize_concat' if several else None,
            dropout_ratio=0,
            loss_decode=loss_decode or {'type': 'DynaSegLoss'},
            **kwargs,
        )
        self.norm = build_norm_layer(norm_cfg or {'type': 'BN'}, num_classes)[1]

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute the response map.

        Args:
            inputs: the feature levels, each (N, C, h, w).

        Returns:
            The normalised response map at the first chosen level's resolution,
            (N, num_classes, h, w).
        """
        return self.norm(self.cls_seg(self._transform_inputs(inputs)))

    def losses(self, seg_logit: Tensor, seg_label: Tensor | None = None) -> dict[str, Tensor]:
        """Compute the parts of the loss.

        Args:
            seg_logit: response map, (N, num_classes, h, w).
            seg_label: ignored; the loss needs no annotation.

        Returns:
            What ``loss_decode`` returns.
        """
        return self.loss_decode(seg_logit)

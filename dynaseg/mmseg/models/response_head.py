from collections.abc import Sequence

import torch
from mmcv.cnn import build_norm_layer
from mmseg.models.builder import HEADS
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from dynaseg.mmseg.scratch import is_given


@HEADS.register_module()
class ResponseHead(BaseDecodeHead):
    """Maps features to the normalised response map: 1x1 convolution, then batch normalisation.

    It takes the features of any MMSegmentation backbone or neck. Several levels are resized to the
    first one's resolution and concatenated.

    Args:
        in_channels: channels of the features; a sequence if ``in_index`` is one.
        num_classes: channels of the response map, the largest number of clusters (q).
        in_index: the feature level, or several of them.
        norm_cfg: the normalisation of the response map.
        loss_decode: the loss; DynaSeg's by default.
        **kwargs: further arguments of MMSegmentation's ``BaseDecodeHead``.

    Attributes:
        was_loaded: whether its weights come from a checkpoint, in which they have this shape.

    Examples:
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
        self.was_loaded = False

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute the response map.

        Args:
            inputs: the feature levels, each (N, C, h, w).

        Returns:
            The normalised response map at the first chosen level's resolution,
            (N, num_classes, h, w).
        """
        return self.norm(self.cls_seg(self.gather(inputs)))

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        self.was_loaded = is_given(self.conv_seg.weight, state_dict, prefix + 'conv_seg.weight')
        super()._load_from_state_dict(state_dict, prefix, *args)

    def gather(self, inputs: Sequence[Tensor]) -> Tensor:
        """Choose and concatenate the feature levels from which the responses are computed.

        Args:
            inputs: the feature levels, each (N, C, h, w).

        Returns:
            The features, (N, in_channels, h, w).
        """
        return self._transform_inputs(inputs)

    @torch.no_grad()
    def start_from_centroids(self, centroids: Tensor, features: Tensor, scale: float = 1.0) -> None:
        """Set the weights so that the strongest response is that of the nearest centroid.

        The response becomes s (2 c_k f - |c_k|^2): the normalisation gets the mean and variance
        of these responses, and restores them.

        Args:
            centroids: centroids in the space of the features, (num_classes, C).
            features: typical features, (N, C).
            scale: standard deviation of the responses, averaged over the clusters.

        Raises:
            ValueError: if the centroids are not (num_classes, C), or the normalisation has no
                affine parameters and running statistics to set.
        """
        expected = self.conv_seg.weight.shape[:2]
        if centroids.shape != expected:
            raise ValueError(f'centroids must be {tuple(expected)}, got {tuple(centroids.shape)}')
        norm = self.norm
        if not isinstance(norm, _BatchNorm) or not (norm.affine and norm.track_running_stats):
            raise ValueError(f'the norm must be an affine batch normalisation, got {norm}')
        centroids, features = centroids.to(self.conv_seg.weight), features.to(self.conv_seg.weight)
        offsets = -centroids.square().sum(dim=1)
        responses = features @ (2 * centroids.T) + offsets
        mean, variance = responses.mean(dim=0), responses.var(dim=0)
        deviation = (variance + self.norm.eps).sqrt()
        factor = scale / deviation.mean()
        self.conv_seg.weight.copy_(2 * centroids[:, :, None, None])
        self.conv_seg.bias.copy_(offsets)
        self.norm.running_mean.copy_(mean)
        self.norm.running_var.copy_(variance)
        self.norm.weight.copy_(factor * deviation)
        self.norm.bias.copy_(factor * mean)

    def losses(
        self,
        seg_logit: Tensor,
        seg_label: Tensor | None = None,
        levels: Sequence[Tensor] = (),
    ) -> dict[str, Tensor]:
        """Compute the parts of the loss.

        Args:
            seg_logit: response map, (N, num_classes, h, w).
            seg_label: ignored; the loss needs no annotation.
            levels: the feature levels behind the responses; not used by this head.

        Returns:
            What ``loss_decode`` returns.
        """
        return self.loss_decode(seg_logit)

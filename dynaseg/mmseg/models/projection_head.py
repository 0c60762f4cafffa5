from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmseg.models.builder import HEADS
from torch import Tensor, nn

from dynaseg.mmseg.models.response_head import ResponseHead


@HEADS.register_module()
class ProjectionHead(ResponseHead):
    """Projects frozen features and compares them with a prototype for each cluster.

    A feature f becomes f + g(f), scaled to unit length, where g is two 1x1 convolutions that start
    at zero; a response is its cosine similarity with a prototype, divided by ``temperature``. g and
    the prototypes are trained by a loss of responses and features such as
    :class:`dynaseg.core.smoothness.SmoothnessLoss`.

    Args:
        in_channels: channels of the features.
        num_classes: number of clusters.
        hidden: channels between the two convolutions.
        temperature: the smaller, the more confident.
        loss_decode: the loss; ``SmoothnessLoss`` by default.
        **kwargs: further arguments of :class:`ResponseHead`.

    Examples:
        >>> head = ProjectionHead(in_channels=8, num_classes=5)
        >>> head([torch.rand(2, 8, 12, 12)]).shape
        torch.Size([2, 5, 12, 12])
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        hidden: int = 64,
        temperature: float = 0.1,
        loss_decode: dict | None = None,
        **kwargs,
    ) -> None:
        super().__init__(
            in_channels,
            num_classes,
            loss_decode=loss_decode or {'type': 'SmoothnessLoss'},
            **kwargs,
        )
        del self.norm
        self.temperature = temperature
        self.project = nn.Sequential(
            nn.Conv2d(in_channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, in_channels, 1)
        )
        self.conv_seg.bias.requires_grad_(False)
        self._begin_as_identity()

    def init_weights(self) -> None:
        """Initialise the weights; the projection starts as the identity."""
        super().init_weights()
        self._begin_as_identity()

    def _begin_as_identity(self) -> None:
        nn.init.zeros_(self.project[2].weight)
        nn.init.zeros_(self.project[2].bias)
        nn.init.zeros_(self.conv_seg.bias)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute the response map from the feature levels; see :class:`ResponseHead`."""
        features = self.gather(inputs)
        features = F.normalize(features + self.project(features), dim=1)
        prototypes = F.normalize(self.conv_seg.weight, dim=1)
        return F.conv2d(features, prototypes) / self.temperature

    @torch.no_grad()
    def start_from_centroids(self, centroids: Tensor, features: Tensor, scale: float = 1.0) -> None:
        """Set the prototypes to centroids, (num_classes, C), scaled to unit length."""
        self.conv_seg.weight.copy_(F.normalize(centroids, dim=1)[:, :, None, None])

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
            levels: the feature levels behind the responses, each (N, C, h, w).

        Returns:
            What ``loss_decode`` returns.
        """
        return self.loss_decode(seg_logit, self.gather(levels).float())

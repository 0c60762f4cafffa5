"""The smoothness of cluster assignments over frozen features.

References:
    Lan, Wang, Ke, Xu, Yu, Zhang: SmooSeg: Smoothness prior for unsupervised semantic segmentation,
    NeurIPS 2023, https://arxiv.org/abs/2310.17874
"""

import math
from numbers import Real

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dynaseg.core.losses import cluster_shares


def closeness(features: Tensor, others: Tensor) -> Tensor:
    """Compute how close features are, relative to everything each is compared with.

    Args:
        features: of unit length, (N, C, P).
        others: also of unit length, (N, C, Q).

    Returns:
        Cosine similarities minus the mean of each row, (N, P, Q).
    """
    cosines = features.transpose(1, 2) @ others
    return cosines - cosines.mean(dim=2, keepdim=True)


def discontinuity(assignments: Tensor, others: Tensor) -> Tensor:
    """Compute how much soft assignments differ: 1 minus their cosine similarity.

    Args:
        assignments: probabilities of clusters, (N, K, P).
        others: the probabilities to compare with, (N, K, Q).

    Returns:
        From 0 where they are alike to 1 where they have nothing in common, (N, P, Q).
    """
    return 1 - F.normalize(assignments, dim=1).transpose(1, 2) @ F.normalize(others, dim=1)


def scarcity(response: Tensor, least: float) -> Tensor:
    """Compute how far clusters fall short of a minimum share of a batch's pixels.

    Unlike the marginal entropy it does not affect clusters that hold enough, so large ones may stay
    large.

    Args:
        response: response map, (N, K, h, w).
        least: the minimum share, above 0.

    Returns:
        A scalar, sum_k max(0, 1 - p_k / least), p of :func:`dynaseg.core.losses.cluster_shares`:
        from 0, where all clusters hold enough, to nearly K.

    Examples:
        >>> shares = torch.tensor([0.9, 0.09, 0.01]).log().view(1, 3, 1, 1)
        >>> scarcity(shares, 0.02)
        tensor(0.5000)
    """
    return (1 - cluster_shares(response) / least).clamp(min=0).sum()


class SmoothnessLoss(nn.Module):
    """Rewards similar assignments where features are close, and different ones elsewhere.

    It is the mean of (closeness - threshold) * discontinuity over pairs of places, within each
    image and between an image and another of the batch. The second, whose threshold is high, keeps
    the clusters from collapsing into one. Single clusters may still die out, which :func:`scarcity`
    counteracts.

    Args:
        within: threshold for pairs within an image.
        across: threshold for pairs from two images.
        stride: step between the rows and columns that are used, from a random start.
        least_share: the share of a batch's pixels below which a cluster is scarce; 0 for none.
        scarcity_weight: weight of :func:`scarcity`.

    Raises:
        ValueError: if ``least_share`` is not at least 0 and below 1, or the weight is negative
            or not finite.

    Examples:
        >>> features = F.normalize(torch.randn(2, 8, 6, 9), dim=1)
        >>> parts = SmoothnessLoss()(torch.randn(2, 4, 6, 9), features)
        >>> sorted(parts)
        ['loss_across', 'loss_within', 'num_clusters']
    """

    least_images = 2  # of a batch, for pairs across images

    def __init__(
        self,
        within: float = -0.02,
        across: float = 0.5,
        stride: int = 3,
        least_share: float = 0.0,
        scarcity_weight: float = 0.1,
    ) -> None:
        super().__init__()
        if not (isinstance(least_share, Real) and 0 <= least_share < 1):
            raise ValueError(f'least_share must be at least 0 and below 1, got {least_share!r}')
        if not (isinstance(scarcity_weight, Real) and 0 <= scarcity_weight < math.inf):
            raise ValueError(
                f'scarcity_weight must be finite and at least 0, got {scarcity_weight!r}'
            )
        self.within = within
        self.across = across
        self.stride = stride
        self.least_share = least_share
        self.scarcity_weight = scarcity_weight

    def forward(self, response: Tensor, features: Tensor) -> dict[str, Tensor]:
        """Compute the parts of the loss.

        Args:
            response: response map, (N, K, h, w), N at least 2.
            features: frozen features, (N, C, h, w).

        Returns:
            ``loss_within`` and ``loss_across``, with ``least_share`` also ``loss_scarcity``
            (weighted), and, as a constant, ``num_clusters``, the mean number of clusters in an
            image.

        Raises:
            ValueError: if the batch is a single image.
        """
        if len(response) < self.least_images:
            raise ValueError('pairs of images need a batch of at least 2, got 1')
        rows, columns = (
            slice(int(torch.randint(min(self.stride, size), ())), None, self.stride)
            for size in response.shape[2:]
        )
        grid = ..., rows, columns
        features = F.normalize(features[grid].flatten(2), dim=1)
        assignments = response[grid].flatten(2).softmax(dim=1)
        parts = {}
        for name, threshold, shift in (('within', self.within, 0), ('across', self.across, 1)):
            weights = closeness(features, features.roll(shift, dims=0)) - threshold
            differences = discontinuity(assignments, assignments.roll(shift, dims=0))
            parts[f'loss_{name}'] = (weights * differences).mean()
        if self.least_share:
            parts['loss_scarcity'] = self.scarcity_weight * scarcity(response, self.least_share)
        labels = response.argmax(dim=1).flatten(1)
        counts = [len(one.unique()) for one in labels]
        parts['num_clusters'] = response.new_tensor(counts).mean()
        return parts

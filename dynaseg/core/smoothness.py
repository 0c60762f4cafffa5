"""The smoothness of cluster assignments over frozen features.

References:
    Lan, Wang, Ke, Xu, Yu, Zhang: SmooSeg: Smoothness prior for unsupervised semantic segmentation,
    NeurIPS 2023, https://arxiv.org/abs/2310.17874
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def closeness(features: Tensor, others: Tensor) -> Tensor:
    """Compute how close features are, relative to all that each is compared with.

    Args:
        features: of unit length, (N, C, P).
        others: likewise, (N, C, Q).

    Returns:
        Cosine similarities minus the mean of each row, (N, P, Q).
    """
    cosines = features.transpose(1, 2) @ others
    return cosines - cosines.mean(dim=2, keepdim=True)


def discontinuity(assignments: Tensor, others: Tensor) -> Tensor:
    """Compute how much soft assignments differ: 1 minus their cosine similarity.

    Args:
        assignments: probabilities of clusters, (N, K, P).
        others: likewise, (N, K, Q).

    Returns:
        0 where they are alike to 1 where they have nothing in common, (N, P, Q).
    """
    return 1 - F.normalize(assignments, dim=1).transpose(1, 2) @ F.normalize(others, dim=1)


class SmoothnessLoss(nn.Module):
    """Asks for like assignments where features are close, and for others where they are not.

    It is the mean of (closeness - threshold) * discontinuity over pairs of places, within each
    image and between an image and another of the batch. The second, whose threshold
    is high, keeps the clusters from becoming one.

    Args:
        within: threshold of pairs within an image.
        across: threshold of pairs of two images.
        stride: every so many-th place of every so many-th row is looked at, from a random one.

    Examples:
        >>> features = F.normalize(torch.randn(2, 8, 6, 9), dim=1)
        >>> parts = SmoothnessLoss()(torch.randn(2, 4, 6, 9), features)
        >>> sorted(parts)
        ['loss_across', 'loss_within', 'num_clusters']
    """

    def __init__(self, within: float = -0.02, across: float = 0.5, stride: int = 3) -> None:
        super().__init__()
        self.within = within
        self.across = across
        self.stride = stride

    def forward(self, response: Tensor, features: Tensor) -> dict[str, Tensor]:
        """Compute the parts of the loss.

        Args:
            response: response map, (N, K, h, w), N at least 2.
            features: frozen ones, (N, C, h, w).

        Returns:
            ``loss_within`` and ``loss_across``, and, as a constant, ``num_clusters``, the mean
            number of clusters in an image.

        Raises:
            ValueError: if the batch is a single image.
        """
        if len(response) < 2:
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
        labels = response.argmax(dim=1).flatten(1)
        counts = [len(one.unique()) for one in labels]
        parts['num_clusters'] = response.new_tensor(counts).mean()
        return parts

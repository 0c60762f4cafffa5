"""The dynamically weighted loss of DynaSeg and the functions it is made of.

References:
    Guermazi, Ksantini, Khan: DynaSeg, Image and Vision Computing 2024, https://arxiv.org/abs/2405.05477
    Kim, Kanezaki, Tanaka: Unsupervised Learning of Image Segmentation Based on Differentiable
    Feature Clustering, IEEE TIP 2020, https://arxiv.org/abs/2007.09990
"""

import math
from numbers import Real

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dynaseg.core.distributed import sum_over_processes

DEFAULT_MU = {'fsf': 15.0, 'scf': 50.0, 'fixed': 5.0}
REDUCTIONS = ('mean', 'none')


def feature_similarity(response: Tensor, labels: Tensor) -> Tensor:
    """Compute the cross-entropy of a response map with its cluster labels (Kim et al., eq. 2).

    Args:
        response: normalised response map, (N, q, H, W).
        labels: cluster of each pixel, int64, (N, H, W); treated as constants.

    Returns:
        The mean over the pixels of each image, (N,).

    Examples:
        >>> import torch
        >>> response = torch.tensor([2.0, 0.0]).view(1, 2, 1, 1)
        >>> feature_similarity(response, response.argmax(1))
        tensor([0.1269])
    """
    return F.cross_entropy(response, labels, reduction='none').mean(dim=(1, 2))


def marked_cross_entropy(response: Tensor, marks: Tensor) -> Tensor:
    """Compute the cross-entropy of a response map with the labels of pixels that a person marked.

    This is the scribble loss of Kim et al. (section 3.4).

    Args:
        response: response map, (N, q, H, W).
        marks: label of each marked pixel, 0 to q - 1, and -1 for the others, int64, (N, H, W).

    Returns:
        The mean over the marked pixels of each image, 0 if there are none, (N,).

    Raises:
        ValueError: if a label is below -1, or q or more.

    Examples:
        >>> import torch
        >>> response = torch.tensor([[2.0, 0.0], [0.0, 0.0]]).view(1, 2, 1, 2)
        >>> marked_cross_entropy(response, torch.tensor([[[0, -1]]]))
        tensor([0.1269])
    """
    channels = response.shape[1]
    lowest, highest = map(int, marks.aminmax())
    if lowest < -1 or highest >= channels:
        raise ValueError(f'marks must be -1 to {channels - 1}, got {lowest} to {highest}')
    values = F.cross_entropy(response, marks, reduction='none', ignore_index=-1)
    return values.sum(dim=(1, 2)) / (marks >= 0).sum(dim=(1, 2)).clamp(min=1)


def spatial_continuity(response: Tensor) -> Tensor:
    """Compute the mean absolute difference of neighbouring pixels' responses (Kim et al., eq. 3).

    Args:
        response: normalised response map, (N, q, H, W).

    Returns:
        The mean over vertical neighbours plus that over horizontal ones, (N,). A direction in which
        the map has no neighbours (a single row, say) adds zero.

    Examples:
        >>> import torch
        >>> response = torch.tensor([[0.0, 1.0], [3.0, 5.0]]).view(1, 1, 2, 2)
        >>> spatial_continuity(response)  # vertical (3 + 4) / 2, horizontal (1 + 2) / 2
        tensor([5.])
    """
    total = response.new_zeros(response.shape[0])
    for differences in (
        response[..., 1:, :] - response[..., :-1, :],
        response[..., :, 1:] - response[..., :, :-1],
    ):
        if differences[0].numel():
            total = total + differences.abs().mean(dim=(1, 2, 3))
    return total


def count_clusters(labels: Tensor, num_channels: int) -> Tensor:
    """Count the distinct labels in each image (q'), without a host synchronisation.

    Args:
        labels: cluster of each pixel, int64 in [0, num_channels), (N, H, W).
        num_channels: number of channels of the response map (q).

    Returns:
        The counts, int64, (N,).

    Examples:
        >>> import torch
        >>> count_clusters(torch.tensor([[[0, 0, 3]], [[1, 1, 1]]]), num_channels=4)
        tensor([2, 1])
    """
    present = torch.zeros(len(labels), num_channels, dtype=torch.int64, device=labels.device)
    return present.scatter(1, labels.flatten(1), 1).sum(dim=1)


def dynamic_weight(num_clusters: Tensor, weighting: str = 'scf', mu: float | None = None) -> Tensor:
    """Compute the weight of the spatial continuity from the number of clusters in an image.

    Args:
        num_clusters: q' of each image, (N,).
        weighting: ``'fsf'`` (feature similarity focus, q' / mu), ``'scf'`` (spatial continuity
            focus, mu / q') or ``'fixed'`` (mu, as in Kim et al.).
        mu: the constant; by default 15, 50 and 5, as published.

    Returns:
        The weights, floating point, (N,).

    Raises:
        ValueError: if ``weighting`` is unknown.

    Examples:
        >>> import torch
        >>> dynamic_weight(torch.tensor([30, 100]), 'scf')
        tensor([1.6667, 0.5000])
    """
    if weighting not in DEFAULT_MU:
        raise ValueError(f'weighting must be one of {tuple(DEFAULT_MU)}, got {weighting!r}')
    mu = DEFAULT_MU[weighting] if mu is None else mu
    if not num_clusters.is_floating_point():
        num_clusters = num_clusters.to(torch.get_default_dtype())
    if weighting == 'fsf':
        return num_clusters / mu
    if weighting == 'scf':
        return mu / num_clusters
    return torch.full_like(num_clusters, mu)


def cluster_shares(response: Tensor) -> Tensor:
    """Compute the share of a batch's pixels that each cluster holds, by soft assignment.

    Args:
        response: normalised response map, (N, q, H, W).

    Returns:
        The mean over all pixels of the softmax of the responses, (q,). In distributed training the
        pixels are those of all processes, which must all compute it.

    Examples:
        >>> import torch
        >>> cluster_shares(torch.tensor([[9.0, -9.0], [-9.0, -9.0]]).view(1, 2, 1, 2))
        tensor([0.7500, 0.2500])
    """
    precise = torch.promote_types(response.dtype, torch.float32)  # float16 ends at 65504 pixels
    sums = response.softmax(dim=1).sum(dim=(0, 2, 3), dtype=precise)
    sums = torch.cat([sums, sums.new_tensor([response.numel() / response.shape[1]])])
    sums = sum_over_processes(sums)
    return sums[:-1] / sums[-1]


def marginal_entropy(response: Tensor) -> Tensor:
    """Compute the entropy of the mean assignment of a batch's pixels to clusters.

    It is highest, log q, where all clusters hold equally many pixels, and 0 where one holds them
    all; with the sharp assignments that the feature similarity favours, it is the mutual
    information of pixels and clusters (Bridle, Heading, MacKay, NeurIPS 1991).

    Args:
        response: normalised response map, (N, q, H, W).

    Returns:
        A scalar, nats: -sum_k p_k log p_k, p the mean over all pixels of the softmax of the
        responses. In distributed training the pixels are those of all processes, which must all
        compute it.

    Examples:
        >>> import torch
        >>> even = torch.tensor([[9.0, -9.0], [-9.0, 9.0]]).view(1, 2, 1, 2)
        >>> marginal_entropy(even)  # log 2
        tensor(0.6931)
    """
    shares = cluster_shares(response)
    tiny = torch.finfo(shares.dtype).tiny  # the gradient at 0 is that of the next larger share
    return -torch.xlogy(shares, shares.clamp(min=tiny)).sum()


class DynaSegLoss(nn.Module):
    """Feature similarity plus dynamically weighted spatial continuity.

    The labels are the argmax of the response map itself, so the loss needs no annotations. The
    number of clusters and the weight are computed per image.

    Args:
        weighting: ``'fsf'``, ``'scf'`` or ``'fixed'``; see :func:`dynamic_weight`.
        mu: constant of the weighting; by default 15, 50 and 5.
        entropy_weight: weight of :func:`marginal_entropy`, which is maximised and keeps the
            clusters of a data set alive; it is defined on a batch and left out where each image
            has its own loss.
        reduction: ``'mean'`` over the images, or ``'none'`` for one value per image.

    Raises:
        ValueError: if an argument is not one of those listed, ``mu`` is not positive or
            ``entropy_weight`` is negative.

    Examples:
        >>> import torch
        >>> criterion = DynaSegLoss(weighting='fsf')
        >>> parts = criterion(torch.randn(2, 8, 16, 16, requires_grad=True))
        >>> (parts['loss_sim'] + parts['loss_con']).backward()
        >>> sorted(parts)
        ['loss_con', 'loss_sim', 'num_clusters', 'weight']
    """

    def __init__(
        self,
        weighting: str = 'scf',
        mu: float | None = None,
        entropy_weight: float = 0.0,
        reduction: str = 'mean',
    ) -> None:
        super().__init__()
        if weighting not in DEFAULT_MU:
            raise ValueError(f'weighting must be one of {tuple(DEFAULT_MU)}, got {weighting!r}')
        if reduction not in REDUCTIONS:
            raise ValueError(f'reduction must be one of {REDUCTIONS}, got {reduction!r}')
        if mu is not None and not (isinstance(mu, Real) and 0 < mu < math.inf):
            raise ValueError(f'mu must be positive and finite, got {mu!r}')
        if not (isinstance(entropy_weight, Real) and 0 <= entropy_weight < math.inf):
            raise ValueError(
                f'entropy_weight must be finite and at least 0, got {entropy_weight!r}'
            )
        self.weighting = weighting
        self.mu = DEFAULT_MU[weighting] if mu is None else float(mu)
        self.entropy_weight = entropy_weight
        self.reduction = reduction

    def forward(self, response: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Compute the parts of the loss.

        Args:
            response: normalised response map, (N, q, H, W).
            labels: cluster of each pixel, int64, (N, H, W); the argmax of ``response`` by default.

        Returns:
            ``loss_sim`` and ``loss_con`` (already weighted), whose sum is to be minimised, and, as
            constants, ``weight`` and ``num_clusters``; scalars, or (N,) where reduction is
            ``'none'``. With ``entropy_weight``, and where reduction is ``'mean'``, also
            ``loss_entropy`` (weighted, negative).
        """
        if labels is None:
            labels = response.argmax(dim=1)
        counts = count_clusters(labels, response.shape[1])
        counts = counts.to(torch.promote_types(response.dtype, torch.float32))
        weight = dynamic_weight(counts, self.weighting, self.mu).to(response)
        parts = {
            'loss_sim': feature_similarity(response, labels),
            'loss_con': weight * spatial_continuity(response),
            'weight': weight,
            'num_clusters': counts.to(response),
        }
        if self.reduction == 'mean':
            parts = {name: value.mean() for name, value in parts.items()}
            if self.entropy_weight:
                parts['loss_entropy'] = -self.entropy_weight * marginal_entropy(response)
        return parts

    def without_reduction(self) -> 'DynaSegLoss':
        """Make the same loss with one value per image, without the entropy, which needs a batch."""
        return DynaSegLoss(self.weighting, self.mu, reduction='none')

    def extra_repr(self) -> str:
        """Show the settings when the module is printed."""
        return f'weighting={self.weighting!r}, mu={self.mu}, entropy_weight={self.entropy_weight}'

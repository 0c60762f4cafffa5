"""The dynamically weighted loss of DynaSeg and the functions it is made of.

References:
    Guermazi, Ksantini, Khan: DynaSeg, Image and Vision Computing 2024, https://arxiv.org/abs/2405.05477
    Kim, Kanezaki, Tanaka: Unsupervised Learning of Image Segmentation Based on Differentiable
    Feature Clustering, IEEE TIP 2020, https://arxiv.org/abs/2007.09990
"""

from numbers import Real

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DEFAULT_MU = {'fsf': 15.0, 'scf': 50.0, 'fixed': 5.0}
PENALTIES = ('l1', 'huber')
REDUCTIONS = ('mean', 'none')
COUNTS = ('image', 'batch', 'running')
RUNNING_MOMENTUM = 0.9


def feature_similarity(response: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy between a response map and its cluster labels (Kim et al., eq. 2).

    Args:
        response: normalised response map, (N, q, H, W).
        labels: cluster of each pixel, int64, (N, H, W); taken as constants.

    Returns:
        The mean over the pixels of each image, (N,).

    Example:
        >>> import torch
        >>> response = torch.tensor([2.0, 0.0]).view(1, 2, 1, 1)
        >>> feature_similarity(response, response.argmax(1))
        tensor([0.1269])
    """
    return F.cross_entropy(response, labels, reduction='none').mean(dim=(1, 2))


def spatial_continuity(response: Tensor, penalty: str = 'l1', diagonal: bool = False) -> Tensor:
    """Mean difference between the responses of neighbouring pixels (Kim et al., eq. 3).

    Args:
        response: normalised response map, (N, q, H, W).
        penalty: ``'l1'``, or ``'huber'`` (quadratic below a difference of one).
        diagonal: whether the two diagonal neighbours count as well.

    Returns:
        The sum over the directions of each one's mean, (N,). A direction in which the map has no
        neighbours (a single row, say) adds zero.

    Raises:
        ValueError: if ``penalty`` is unknown.

    Example:
        >>> import torch
        >>> response = torch.tensor([[0.0, 1.0], [3.0, 5.0]]).view(1, 1, 2, 2)
        >>> spatial_continuity(response)  # vertical (3 + 4) / 2, horizontal (1 + 2) / 2
        tensor([5.])
    """
    if penalty not in PENALTIES:
        raise ValueError(f'penalty must be one of {PENALTIES}, got {penalty!r}')
    pairs = [
        (response[..., 1:, :], response[..., :-1, :]),
        (response[..., :, 1:], response[..., :, :-1]),
    ]
    if diagonal:
        pairs += [
            (response[..., 1:, 1:], response[..., :-1, :-1]),
            (response[..., 1:, :-1], response[..., :-1, 1:]),
        ]
    total = response.new_zeros(response.shape[0])
    for ahead, behind in pairs:
        if ahead[0].numel() == 0:
            continue
        if penalty == 'l1':
            total = total + (ahead - behind).abs().mean(dim=(1, 2, 3))
        else:
            total = total + F.huber_loss(ahead, behind, reduction='none').mean(dim=(1, 2, 3))
    return total


def count_clusters(labels: Tensor, num_channels: int) -> Tensor:
    """Number of distinct labels in each image (q'), without a host synchronisation.

    Args:
        labels: cluster of each pixel, int64 in [0, num_channels), (N, H, W).
        num_channels: number of channels of the response map (q).

    Returns:
        The counts, int64, (N,).

    Example:
        >>> import torch
        >>> count_clusters(torch.tensor([[[0, 0, 3]], [[1, 1, 1]]]), num_channels=4)
        tensor([2, 1])
    """
    present = torch.zeros(len(labels), num_channels, dtype=torch.int64, device=labels.device)
    return present.scatter(1, labels.flatten(1), 1).sum(dim=1)


def dynamic_weight(num_clusters: Tensor, weighting: str = 'scf', mu: float | None = None) -> Tensor:
    """Weight of the spatial continuity, from the number of clusters an image holds.

    Args:
        num_clusters: q' of each image, (N,).
        weighting: ``'fsf'`` (feature similarity focus, q' / mu), ``'scf'`` (spatial continuity
            focus, mu / q') or ``'fixed'`` (mu, as Kim et al.).
        mu: the constant; by default 15, 50 and 5, as published.

    Returns:
        The weights, floating point, (N,).

    Raises:
        ValueError: if ``weighting`` is unknown.

    Example:
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


def cluster_balance(response: Tensor) -> Tensor:
    """Negative entropy of the mean assignment of a batch's pixels to clusters.

    It is lowest, -log q, where every cluster holds as many pixels as the others, and 0 where one
    holds all; with the sharpness that the feature similarity asks for, it is the mutual
    information of pixels and clusters (Bridle, Heading, MacKay, NeurIPS 1991).

    Args:
        response: normalised response map, (N, q, H, W).

    Returns:
        A scalar: sum_k p_k log p_k, p the mean over all pixels of the softmax of the responses.

    Example:
        >>> import torch
        >>> even = torch.tensor([[9.0, -9.0], [-9.0, 9.0]]).view(1, 2, 1, 2)
        >>> cluster_balance(even)  # -log 2
        tensor(-0.6931)
    """
    shares = response.softmax(dim=1).mean(dim=(0, 2, 3))
    return torch.xlogy(shares, shares).sum()


class DynaSegLoss(nn.Module):
    """Feature similarity plus dynamically weighted spatial continuity.

    The labels are the argmax of the response map itself, so the loss needs no annotation. The
    number of clusters and the weight are counted for every image of the batch on its own, unless
    ``count`` says otherwise.

    Args:
        weighting: ``'fsf'``, ``'scf'`` or ``'fixed'``; see :func:`dynamic_weight`.
        mu: constant of the weighting; by default 15, 50 and 5.
        penalty: ``'l1'`` or ``'huber'``; see :func:`spatial_continuity`.
        diagonal: whether diagonal neighbours count in the continuity.
        balance: weight of :func:`cluster_balance`, which keeps the clusters of a data set alive;
            it is of a batch and takes no part where each image has a loss of its own.
        reduction: ``'mean'`` over the images, or ``'none'`` for a value an image.
        count: what q' is counted over: each ``'image'``, the whole ``'batch'``, or the
            ``'running'`` mean, over the iterations of the training, of the images' counts.

    Raises:
        ValueError: if an argument is none of those named, ``mu`` is not positive or ``balance`` is
            negative.

    Example:
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
        penalty: str = 'l1',
        diagonal: bool = False,
        balance: float = 0.0,
        reduction: str = 'mean',
        count: str = 'image',
    ) -> None:
        super().__init__()
        if weighting not in DEFAULT_MU:
            raise ValueError(f'weighting must be one of {tuple(DEFAULT_MU)}, got {weighting!r}')
        if penalty not in PENALTIES:
            raise ValueError(f'penalty must be one of {PENALTIES}, got {penalty!r}')
        if reduction not in REDUCTIONS:
            raise ValueError(f'reduction must be one of {REDUCTIONS}, got {reduction!r}')
        if count not in COUNTS:
            raise ValueError(f'count must be one of {COUNTS}, got {count!r}')
        if mu is not None and not (isinstance(mu, Real) and mu > 0):
            raise ValueError(f'mu must be positive, got {mu!r}')
        if not (isinstance(balance, Real) and balance >= 0):
            raise ValueError(f'balance must be at least 0, got {balance!r}')
        self.weighting = weighting
        self.mu = DEFAULT_MU[weighting] if mu is None else float(mu)
        self.penalty = penalty
        self.diagonal = diagonal
        self.balance = balance
        self.reduction = reduction
        self.count = count
        if count == 'running':
            self.register_buffer('running_clusters', torch.zeros(()))

    def forward(self, response: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Compute the parts of the loss.

        Args:
            response: normalised response map, (N, q, H, W).
            labels: cluster of each pixel, int64, (N, H, W); the argmax of ``response`` by default.

        Returns:
            ``loss_sim`` and ``loss_con`` (already weighted), whose sum is to be minimised, and, as
            constants, ``weight`` and ``num_clusters``; scalars, or (N,) where reduction is
            ``'none'``. With ``balance``, and where reduction is ``'mean'``, also
            ``loss_balance`` (weighted).
        """
        if labels is None:
            labels = response.argmax(dim=1)
        num_clusters = self._count(labels, response)
        weight = dynamic_weight(num_clusters, self.weighting, self.mu).to(response)
        parts = {
            'loss_sim': feature_similarity(response, labels),
            'loss_con': weight * spatial_continuity(response, self.penalty, self.diagonal),
            'weight': weight,
            'num_clusters': num_clusters.to(response),
        }
        if self.reduction == 'mean':
            parts = {name: value.mean() for name, value in parts.items()}
            if self.balance:
                parts['loss_balance'] = self.balance * cluster_balance(response)
        return parts

    def _count(self, labels: Tensor, response: Tensor) -> Tensor:
        """Count q' for each image, floating point, (N,)."""
        if self.count == 'batch':
            counts = count_clusters(labels.flatten()[None], response.shape[1]).expand(len(labels))
        else:
            counts = count_clusters(labels, response.shape[1])
        counts = counts.to(torch.promote_types(response.dtype, torch.float32))
        if self.count == 'running':
            mean, running = counts.mean(), self.running_clusters
            if self.training:
                moved = torch.lerp(mean.to(running), running, RUNNING_MOMENTUM)
                running.copy_(torch.where(running > 0, moved, mean.to(running)))
            counts = torch.where(running > 0, running, mean).to(counts).expand(len(labels))
        return counts

    def without_reduction(self) -> 'DynaSegLoss':
        """Make the same loss with a value an image, without what is of a batch or of a training."""
        return DynaSegLoss(self.weighting, self.mu, self.penalty, self.diagonal, reduction='none')

    def extra_repr(self) -> str:
        """Show the settings when the module is printed."""
        return f'weighting={self.weighting!r}, mu={self.mu}, penalty={self.penalty!r}'

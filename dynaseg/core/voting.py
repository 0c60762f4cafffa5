"""Votes of clusters that belong together, such as those that share a name."""

import torch
from torch import Tensor


def sum_groups(probabilities: Tensor, groups: Tensor) -> Tensor:
    """Add the probabilities of clusters that belong together.

    Args:
        probabilities: of K clusters, (N, K, H, W).
        groups: the group of each cluster, 0 to G - 1, int64, (K,), on any device.

    Returns:
        The probabilities of the groups, (N, G, H, W).
    """
    number, _, height, width = probabilities.shape
    sums = probabilities.new_zeros(number, int(groups.max()) + 1, height, width)
    return sums.index_add_(1, groups.to(sums.device), probabilities)


def give_to_strongest(sums: Tensor, probabilities: Tensor, groups: Tensor) -> Tensor:
    """Give the probability of each group to the strongest of its clusters at each pixel.

    The strongest cluster then belongs to the strongest group: the clusters of a group vote
    together.

    Args:
        sums: the probabilities of the groups, (N, G, H, W).
        probabilities: of the clusters, (N, K, H, W).
        groups: the group of each cluster, int64, (K,), on any device.

    Returns:
        Probabilities of the clusters, nonzero for only one in each group, (N, K, H, W).

    Examples:
        >>> probabilities = torch.tensor([0.4, 0.25, 0.35]).view(1, 3, 1, 1)
        >>> groups = torch.tensor([0, 1, 1])
        >>> sums = sum_groups(probabilities, groups)
        >>> give_to_strongest(sums, probabilities, groups).flatten()
        tensor([0.4000, 0.0000, 0.6000])
    """
    given = torch.zeros_like(probabilities)
    groups = groups.to(given.device)
    for group in range(sums.shape[1]):
        (members,) = torch.nonzero(groups == group, as_tuple=True)
        if len(members):
            strongest = members[probabilities[:, members].argmax(dim=1, keepdim=True)]
            given.scatter_(1, strongest, sums[:, group : group + 1])
    return given

"""The published procedure, formula by formula, with which DynaSeg is compared."""

from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PUBLISHED = {'weighting': 'scf', 'mu': 50.0, 'lr': 0.1, 'momentum': 0.9, 'min_clusters': 3}
PUBLISHED_ITERATIONS = 1000


def fit_as_published(
    network: nn.Module,
    image: Tensor,
    iterations: int,
    keep: Collection[int] = (),
    weighting: str = PUBLISHED['weighting'],
    mu: float = PUBLISHED['mu'],
) -> tuple[dict[int, Tensor], int]:
    """Fit a network to an image as the papers write it: full size, nothing left out.

    Args:
        network: in training mode, from images to response maps; changed in place.
        image: normalised image, (1, 3, H, W).
        iterations: maximum number of steps; as published, they end when three clusters are left.
        keep: steps whose labels to return; after an early end, later steps get the last labels.
        weighting: ``'fsf'``, ``'scf'`` or ``'fixed'``.
        mu: constant of the weighting.

    Returns:
        Labels, (H, W), by step, and the number of steps taken.
    """
    optimizer = torch.optim.SGD(
        network.parameters(), lr=PUBLISHED['lr'], momentum=PUBLISHED['momentum']
    )
    kept = {}
    for step in range(iterations + 1):
        response = network(image)
        labels = response.argmax(dim=1)
        count = len(labels.unique())
        if step in keep:
            kept[step] = labels[0]
        if step == iterations or count <= PUBLISHED['min_clusters']:
            break
        weight = {'fsf': count / mu, 'scf': mu / count, 'fixed': mu}[weighting]
        similarity = F.cross_entropy(response, labels)
        vertical = (response[:, :, 1:] - response[:, :, :-1]).abs().mean()
        horizontal = (response[:, :, :, 1:] - response[:, :, :, :-1]).abs().mean()
        loss = similarity + weight * (vertical + horizontal)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {wanted: kept.get(wanted, labels[0]) for wanted in keep}, step

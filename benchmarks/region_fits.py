"""Fits for the benchmark of regions: small networks, one seed each, to one image's channels."""

import torch
import torch.nn.functional as F
from sklearn.cluster import KMeans
from torch import Tensor, nn

from dynaseg.core.regions.cues import soft_labels


def fit_soft_maps(
    channels: Tensor,
    seeds: int = 4,
    first_seed: int = 0,
    width: int = 32,
    pixels: int = 1600,
    steps: int = 20,
    mu: float = 15.0,
) -> list[Tensor]:
    """Fit networks to channels, (C, h, w), and predict their soft labels, (K_i, h, w)."""
    image = channels[None].contiguous(memory_format=torch.channels_last)
    small = shrink(image, pixels).contiguous(memory_format=torch.channels_last)
    maps = []
    for seed in range(first_seed, first_seed + seeds):
        torch.manual_seed(seed)
        network = make_network(len(channels), width)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.2, momentum=0.9)
        for _ in range(steps):
            optimizer.zero_grad()
            loss(network(small), mu).backward()
            optimizer.step()
        with torch.no_grad():
            maps.append(soft_labels(network(image)[0]))
    return maps


def make_network(channels: int, width: int) -> nn.Sequential:
    """Make two blocks of convolution, ReLU and batch normalisation, and a normalised response."""
    layers = []
    for entering in (channels, width):
        layers += [nn.Conv2d(entering, width, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(width)]
    layers += [nn.Conv2d(width, width, 1), nn.BatchNorm2d(width)]
    return nn.Sequential(*layers).train().to(memory_format=torch.channels_last)


def shrink(images: Tensor, pixels: int) -> Tensor:
    """Shrink images, (1, C, h, w), to about so many pixels by area averaging."""
    height, width = images.shape[2:]
    scale = min(1.0, (pixels / (height * width)) ** 0.5)
    return F.interpolate(
        images, (max(1, round(height * scale)), max(1, round(width * scale))), mode='area'
    )


def loss(response: Tensor, mu: float) -> Tensor:
    """DynaSeg's loss with feature similarity focus.

    The label is the highest response, so the cross-entropy is logsumexp - max; on channels-last
    maps that takes a third of the time of ``cross_entropy``.
    """
    response = response[0].permute(1, 2, 0)  # (h, w, q), in one piece
    highest, labels = response.max(dim=2)
    similarity = (response.logsumexp(dim=2) - highest).mean()
    continuity = (response[1:] - response[:-1]).abs().mean()
    continuity = continuity + (response[:, 1:] - response[:, :-1]).abs().mean()
    return similarity + len(labels.unique()) / mu * continuity


def kmeans_soft_maps(
    channels: Tensor, seeds: int = 4, first_seed: int = 0, clusters: int = 12, pixels: int = 2500
) -> list[Tensor]:
    """Cluster the same channels with K-means in place of fits, (K, h, w) of zeros and ones."""
    small = shrink(channels[None], pixels)[0].flatten(1).T.numpy()
    maps = []
    for seed in range(first_seed, first_seed + seeds):
        means = KMeans(min(clusters, len(small)), n_init=1, random_state=seed).fit(small)
        labels = torch.from_numpy(means.predict(channels.flatten(1).T.numpy())).long()
        one_hot = F.one_hot(labels).T.reshape(-1, *channels.shape[1:])
        maps.append(one_hot[one_hot.any(dim=2).any(dim=1)].float())
    return maps

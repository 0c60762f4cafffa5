"""Soft maps for the benchmark of regions: from fits, or from K-means in their place."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.cluster import KMeans
from torch import Tensor

from dynaseg.core.regions.cues import soft_labels
from dynaseg.core.sizes import limit_size
from dynaseg.predictor import make_region_networks, make_region_predictor


def fit_soft_maps(channels: Tensor, seed: int = 0) -> list[np.ndarray]:
    """Fit the default predictor's networks to channels, (C, h, w); soft labels, (K_i, h, w)."""
    networks = make_region_networks(seed, len(channels))
    image = channels[None]
    fits = make_region_predictor().fitter.fit(networks, image.expand(len(networks), -1, -1, -1))
    return [soft_labels(fit.respond(image)) for fit in fits]


def kmeans_soft_maps(
    channels: Tensor, seed: int = 0, runs: int = 4, clusters: int = 12, pixels: int = 2500
) -> list[np.ndarray]:
    """Cluster the same channels with K-means in place of fits, (K, h, w) of zeros and ones."""
    small = limit_size(channels[None], pixels)[0].flatten(1).T.numpy()
    maps = []
    for run in range(runs * seed, runs * (seed + 1)):
        means = KMeans(min(clusters, len(small)), n_init=1, random_state=run).fit(small)
        labels = torch.from_numpy(means.predict(channels.flatten(1).T.numpy())).long()
        one_hot = F.one_hot(labels).T.reshape(-1, *channels.shape[1:])
        maps.append(one_hot[one_hot.any(dim=2).any(dim=1)].float().numpy())
    return maps

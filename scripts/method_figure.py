"""The figure of the method: how the weight follows the clusters while an image is fitted."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_sample_image

from dynaseg.core import DynaSegLoss, ResponseNetwork
from dynaseg.core.losses import DEFAULT_MU
from dynaseg.core.normalization import Normalization
from dynaseg.io.palette import distinct_palette

STEPS, SHOWN = 60, (0, 5, 20, 60)
COLOURS = {'fsf': '#d95f02', 'scf': '#1b9e77', 'fixed': '#7570b3'}
FORMULAS = {'fsf': r"$q'/15$", 'scf': r"$50/q'$", 'fixed': '$5$'}


def fit(weighting: str) -> tuple[list[int], list[float], dict[int, np.ndarray]]:
    """Fit a network to a photograph: clusters and weights by step, and some label maps."""
    photo = torch.from_numpy(load_sample_image('flower.jpg')[::4, ::4].copy())
    image = Normalization()(photo.permute(2, 0, 1)[None])
    torch.manual_seed(0)
    network = ResponseNetwork(channels=64)
    criterion = DynaSegLoss(weighting)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    counts, weights, maps = [], [], {}
    for step in range(STEPS + 1):
        response = network(image)
        parts = criterion(response)
        counts.append(int(parts['num_clusters']))
        weights.append(float(parts['weight']))
        if step in SHOWN:
            maps[step] = response[0].argmax(dim=0).numpy()
        optimizer.zero_grad()
        (parts['loss_sim'] + parts['loss_con']).backward()
        optimizer.step()
    return counts, weights, maps


def draw_method(out: Path) -> None:
    """Draw the figure and write it as PNG."""
    found = {weighting: fit(weighting) for weighting in DEFAULT_MU}
    figure = plt.figure(figsize=(11, 4.8), layout='constrained')
    above, below = figure.subfigures(2, 1, height_ratios=(1.3, 1))
    clusters, weights = above.subplots(1, 2)
    for weighting, (counts, values, _) in found.items():
        style = {'color': COLOURS[weighting], 'label': f'{weighting}: {FORMULAS[weighting]}'}
        clusters.plot(counts, **style)
        weights.plot(values, **style)
    clusters.set(xlabel='step', ylabel="clusters $q'$ of the image", ylim=0)
    weights.set(xlabel='step', ylabel='weight of spatial continuity', ylim=0)
    weights.legend(frameon=False)
    for axes in (clusters, weights):
        axes.spines[['top', 'right']].set_visible(False)
    panels = below.subplots(1, 1 + len(SHOWN))
    panels[0].imshow(load_sample_image('flower.jpg')[::4, ::4])
    panels[0].set_title('photograph', fontsize=10)
    counts, _, maps = found['fsf']
    for axes, step in zip(panels[1:], SHOWN, strict=True):
        axes.imshow(distinct_palette(64)[maps[step]])
        axes.set_title(f"fsf, step {step}: $q'$ = {counts[step]}", fontsize=10)
    for axes in panels:
        axes.axis('off')
    figure.savefig(out, dpi=110)
    plt.close(figure)

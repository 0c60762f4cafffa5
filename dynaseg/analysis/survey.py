"""What the clusters of a trained segmentor look like, without any labels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from dynaseg.core.labels import connected_components, find_deepest_pixels
from dynaseg.io.reading import read_image
from dynaseg.mmseg.models import DynaSeg

NUM_SUREST, NUM_UNSURE = 8, 4  # examples per cluster
LEAST_AREA = 0.001  # minimum share of the image for an example
LEAST_NEIGHBOUR = 0.05  # minimum share of a cluster's borders or doubts to be listed
NUM_NEIGHBOURS = 5
STRIDE = 4  # of the pixels at which doubts are measured


@dataclass(frozen=True)
class Example:
    """A connected part of a cluster.

    Attributes:
        image: index of its image.
        centre: x and y of its deepest pixel, as shares of the image's width and height.
        radius: distance of the deepest pixel from the border, as a share of the shorter side.
        area: share of the image.
        sureness: mean probability of the cluster there.
    """

    image: int
    centre: tuple[float, float]
    radius: float
    area: float
    sureness: float


@dataclass
class Cluster:
    """What a cluster looks like.

    Attributes:
        share: of an image's pixels, mean over the images.
        images: indices of those that contain it.
        surest: examples of large parts of which the network is certain, at most one per image.
        unsure: examples of parts of which it is least certain, at most one per image.
        borders: clusters that it borders on, and their shares of the length of its borders.
        resembles: clusters that are the network's next choice for its pixels, and their shares of
            the remaining probability.
    """

    share: float = 0.0
    images: list[int] = field(default_factory=list)
    surest: list[Example] = field(default_factory=list)
    unsure: list[Example] = field(default_factory=list)
    borders: list[tuple[int, float]] = field(default_factory=list)
    resembles: list[tuple[int, float]] = field(default_factory=list)


@torch.no_grad()
def survey_clusters(
    segmentor: DynaSeg, files: Sequence[Path]
) -> tuple[list[Cluster], list[np.ndarray]]:
    """Survey the clusters of some images, which are labelled as photographs are.

    Args:
        segmentor: in evaluation mode; it is not fitted to images.
        files: the images.

    Returns:
        The clusters, and the label map of each image, int16, at the size at which it is labelled.
    """
    number = segmentor.num_classes
    clusters = [Cluster() for _ in range(number)]
    pixels, maps = np.zeros(number), []
    borders, doubts = np.zeros((number, number)), np.zeros((number, number))
    device = next(segmentor.parameters()).device
    for image, file in enumerate(files):
        img = torch.from_numpy(read_image(file)).to(device).permute(2, 0, 1).flip(0)[None]
        probabilities = segmentor.predict(img)[0].clamp(min=0).cpu().numpy()
        labels = probabilities.argmax(axis=0)
        counts = np.bincount(labels.ravel(), minlength=number)
        pixels += counts / labels.size
        borders += count_borders(labels, number)
        seen, kinds = probabilities[:, ::STRIDE, ::STRIDE], labels[::STRIDE, ::STRIDE]
        np.add.at(doubts, kinds.ravel(), seen.reshape(number, -1).T / labels.size)
        for label, (sure, unsure) in find_examples(labels, probabilities.max(axis=0)).items():
            clusters[label].images.append(image)
            clusters[label].surest.append(Example(image, *sure))
            clusters[label].unsure.append(Example(image, *unsure))
        maps.append(labels.astype(np.int16))
    for label, cluster in enumerate(clusters):
        cluster.share = float(pixels[label] / max(len(files), 1))
        by_size = sorted(cluster.surest, key=lambda one: -one.sureness * one.area**0.5)
        cluster.surest = by_size[:NUM_SUREST]
        cluster.unsure = sorted(cluster.unsure, key=lambda one: one.sureness)[:NUM_UNSURE]
        cluster.borders = _largest(borders[label], label)
        cluster.resembles = _largest(doubts[label], label)
    return clusters, maps


def find_examples(labels: np.ndarray, sureness: np.ndarray) -> dict[int, list[tuple]]:
    """Find a large, certain part of each label of an image, and its least certain part.

    Args:
        labels: integers from 0, (H, W).
        sureness: of each pixel's label, (H, W).

    Returns:
        By label, for both parts, the arguments of an :class:`Example` after the image.
    """
    height, width = labels.shape
    parts = connected_components(labels)
    areas = np.bincount(parts.ravel())
    means = np.bincount(parts.ravel(), sureness.ravel()) / areas
    deepest = find_deepest_pixels(parts)
    rows, columns, radii = np.array([deepest[part] for part in range(len(areas))]).T
    label_of = labels[rows.astype(int), columns.astype(int)]
    found = {}
    for label in np.unique(labels):
        own = np.flatnonzero(label_of == label)
        large = own[areas[own] >= LEAST_AREA * labels.size]
        large = large if len(large) else own[[areas[own].argmax()]]
        best = large[(means[large] * np.sqrt(areas[large])).argmax()]
        worst = large[means[large].argmin()]
        found[int(label)] = [
            (
                (float((columns[part] + 0.5) / width), float((rows[part] + 0.5) / height)),
                float(radii[part] / min(height, width)),
                float(areas[part] / labels.size),
                float(means[part]),
            )
            for part in (best, worst)
        ]
    return found


def count_borders(labels: np.ndarray, number: int) -> np.ndarray:
    """Count the pairs of neighbouring pixels with different labels.

    Args:
        labels: integers from 0, (H, W).
        number: number of labels, K.

    Returns:
        Counts, symmetric with zeros on the diagonal, (K, K).

    Examples:
        >>> count_borders(np.array([[0, 1], [0, 2]]), 3)
        array([[0, 1, 1],
               [1, 0, 1],
               [1, 1, 0]])
    """
    pairs = [(labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])]
    codes = np.concatenate([(one * number + other).ravel() for one, other in pairs])
    counts = np.bincount(codes, minlength=number**2).reshape(number, number)
    counts += counts.T
    np.fill_diagonal(counts, 0)
    return counts


def _largest(counts: np.ndarray, label: int) -> list[tuple[int, float]]:
    """Get the largest other counts of a label and their shares."""
    counts = counts.copy()
    counts[label] = 0
    shares = counts / max(counts.sum(), np.finfo(float).tiny)
    order = np.argsort(-shares, kind='stable')[:NUM_NEIGHBOURS]
    return [
        (int(other), float(shares[other])) for other in order if shares[other] >= LEAST_NEIGHBOUR
    ]

"""What regions look like: sums over their pixels, and distances computed from the sums.

A descriptor of a region is a unit vector that is computed from sums over the region's pixels, so
that a union's follows from those of its parts. The distance of two is sqrt(1 - u . v): for the
square root of a histogram the Hellinger distance, for a centred feature sqrt(half of |u - v|^2).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dynaseg.core.regions.filters import smooth, sobel
from dynaseg.core.regions.graph import RegionGraph, pooling_matrix

COLOUR_BINS = 12
COLOUR_RANGES = ((0.0, 1.0), (-0.6, 0.6), (-0.6, 0.6))  # of Lab / 100
TEXTURE_BINS = 8
LOG_RANGE = 5.0
SOBEL_FLOOR = 0.01
BAND_FLOOR = 0.002
BAND_SIGMAS = ((0.0, 1.0), (1.0, 2.0), (2.0, 4.0))
ORIENTATIONS = 8
STRONGEST = 0.5  # stronger gradients count no more than this
SMALLEST_NORM = 1e-12


@dataclass(frozen=True)
class Descriptors:
    """Descriptors of regions, side by side: first histograms, then features.

    Attributes:
        sums: over the pixels of each region, (L, D).
        sizes: number of columns of each descriptor, (M,).
        weights: of each descriptor's distance, (M,).
        num_histograms: number of histograms among the M descriptors.
        centres: the image's mean of each column of features, (F,).
    """

    sums: np.ndarray
    sizes: tuple[int, ...]
    weights: tuple[float, ...]
    num_histograms: int
    centres: np.ndarray

    @classmethod
    def join(
        cls,
        histograms: Sequence[tuple[float, np.ndarray]],
        features: Sequence[tuple[float, np.ndarray]] = (),
        pixels: int = 1,
    ) -> 'Descriptors':
        """Put descriptors of the same regions side by side.

        Args:
            histograms: weight and histograms of each, (L, D_i), whose rows sum to the areas.
            features: weight and sums over the regions of each, (L, D_i).
            pixels: number of pixels in the image.

        Returns:
            The descriptors, without those of weight 0.
        """
        histograms, features = (
            [(weight, sums) for weight, sums in parts if weight] for parts in (histograms, features)
        )
        weights, sums = zip(*histograms, *features, strict=True)
        centres = [part.sum(axis=0) / pixels for _, part in features]
        return cls(
            np.concatenate(sums, axis=1),
            tuple(part.shape[1] for part in sums),
            weights,
            len(histograms),
            np.concatenate([np.zeros(0), *centres]),
        )

    def units(self, sums: np.ndarray, areas: np.ndarray) -> np.ndarray:
        """Compute the unit vectors, (R, D), of regions from sums, (R, D), and areas, (R, 1)."""
        units = sums / areas
        columns = sum(self.sizes[: self.num_histograms])
        np.sqrt(units[:, :columns], out=units[:, :columns])
        if len(self.centres):
            features = units[:, columns:]
            features -= self.centres
            sizes = self.sizes[self.num_histograms :]
            starts = np.cumsum((0, *sizes[:-1]))
            norms = np.sqrt(np.add.reduceat(features * features, starts, axis=1))
            features /= np.repeat(np.maximum(norms, SMALLEST_NORM), sizes, axis=1)
        return units

    def summing_matrix(self) -> np.ndarray:
        """Make the matrix that adds up the columns of each descriptor, (D, M)."""
        return np.repeat(np.eye(len(self.sizes)), self.sizes, axis=0)


def describe_colour(lab: np.ndarray, graph: RegionGraph) -> np.ndarray:
    """Compute histograms of lightness and opponent colours, (L, 36); rows sum to the areas."""
    return np.concatenate(
        [
            _histogram(channel, low, high, COLOUR_BINS, graph) / len(lab)
            for channel, (low, high) in zip(lab, COLOUR_RANGES, strict=True)
        ],
        axis=1,
    )


def describe_contrast(lightness: np.ndarray, graph: RegionGraph) -> np.ndarray:
    """Compute histograms of the logarithm of the lightness gradient, (L, 8)."""
    return _log_histogram(np.hypot(*sobel(lightness)), SOBEL_FLOOR, graph)


def describe_bands(lightness: np.ndarray, graph: RegionGraph) -> np.ndarray:
    """Compute histograms of the logarithms of three differences of Gaussians, (L, 24)."""
    smoothed = {sigma: smooth(lightness, sigma) for sigma in (1.0, 2.0, 4.0)}
    smoothed[0.0] = lightness
    return np.concatenate(
        [
            _log_histogram(np.abs(smoothed[fine] - smoothed[coarse]), BAND_FLOOR, graph)
            / len(BAND_SIGMAS)
            for fine, coarse in BAND_SIGMAS
        ],
        axis=1,
    )


def describe_orientations(lightness: np.ndarray, graph: RegionGraph) -> np.ndarray:
    """Compute histograms of the gradient's direction modulo pi, with a bin for none, (L, 9).

    A pixel adds the strength of its gradient, at most one half, to the bins of its direction, and
    what is missing to one half to the last bin.
    """
    down, right = sobel(lightness)
    strength = np.minimum(np.hypot(down, right), STRONGEST).ravel()
    position = (np.arctan2(down, right).ravel() / np.pi % 1.0) * ORIENTATIONS
    low = position.astype(np.int64)
    share = position - low
    histogram = _binned(graph, low % ORIENTATIONS, strength * (1 - share), ORIENTATIONS)
    histogram += _binned(graph, (low + 1) % ORIENTATIONS, strength * share, ORIENTATIONS)
    rest = STRONGEST * graph.areas - histogram.sum(axis=1)
    return np.column_stack([histogram, np.maximum(rest, 0)]) / STRONGEST


def describe_feature(level: np.ndarray, graph: RegionGraph) -> np.ndarray:
    """Sum a map of features, (C, h, w), enlarged bilinearly, over the regions, (L, C)."""
    matrix = pooling_matrix(graph.leaves, level.shape[1:])
    return (matrix @ level.reshape(len(level), -1).T) * graph.areas[:, None]


def _log_histogram(values: np.ndarray, floor: float, graph: RegionGraph) -> np.ndarray:
    low = np.log(floor)
    return _histogram(np.log(values + floor), low, low + LOG_RANGE, TEXTURE_BINS, graph)


def _histogram(
    values: np.ndarray, low: float, high: float, bins: int, graph: RegionGraph
) -> np.ndarray:
    """Compute histograms with linear binning: a value counts in the two bins it lies between."""
    position = np.clip((values.ravel() - low) * ((bins - 1) / (high - low)), 0, bins - 1)
    lower = np.minimum(position.astype(np.int64), bins - 2)
    share = position - lower
    histogram = _binned(graph, lower, 1 - share, bins)
    histogram += _binned(graph, lower + 1, share, bins)
    return histogram


def _binned(graph: RegionGraph, bins: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """Add up the weights of each region's pixels, (P,), in their bins, (L, count)."""
    places = graph.leaves.ravel() * count + bins
    sums = np.bincount(places, weights, len(graph.areas) * count)
    return sums.reshape(len(graph.areas), count)

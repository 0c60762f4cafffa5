"""Noise whitening of features: the transform of minimum noise fractions (MNF).

Differences between features of neighbouring places that look alike are noise: what distinguishes
two pieces of the same road should not put them into two clusters. In the whitened space noise is
the same in every direction, and the leading components have the highest ratio of signal to noise.

References:
    Green, Berman, Switzer, Craig: A transformation for ordering multispectral data in terms of
    image quality with implications for noise removal, IEEE Transactions on Geoscience and Remote
    Sensing 26(1), 1988
"""

from dataclasses import dataclass

import scipy.linalg
import torch
from torch import Tensor


@dataclass(frozen=True)
class AffineTransform:
    """The map ``matrix @ (feature - mean)``.

    Attributes:
        mean: (C,).
        matrix: (D, C).
    """

    mean: Tensor
    matrix: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Transform features, (N, C); returns (N, D)."""
        return (features - self.mean) @ self.matrix.T


class NoiseStatistics:
    """Moments of features and of their noise, accumulated image by image.

    The noise of Green et al. (section IV, shift differences): if f and g are the features of two
    neighbours with the same signal, f - g has twice the covariance of the noise. Neighbours count
    as such where their colours differ by less than ``contrast``.

    Args:
        num_channels: C.
        contrast: the Euclidean distance in CIELAB from which neighbours count as different.
        max_places: maximum number of places per image, drawn at random, and of pairs of neighbours
            in each direction; None for all. The time per place grows with the square of C.

    Examples:
        >>> statistics = NoiseStatistics(2)
        >>> features = torch.tensor([[[0.0, 2.0]], [[0.0, 0.0]]])
        >>> statistics.add(features, lab=torch.zeros(3, 1, 2))
        >>> statistics.noise  # half of 2 * 2 in the first channel
        tensor([[2., 0.],
                [0., 0.]], dtype=torch.float64)
    """

    def __init__(
        self, num_channels: int, contrast: float = 12.0, max_places: int | None = None
    ) -> None:
        self.contrast = contrast
        self.max_places = max_places
        self._rng = torch.Generator().manual_seed(0)
        self.num_features = self.num_pairs = 0
        self._sum = torch.zeros(num_channels, dtype=torch.float64)
        self._products = torch.zeros(num_channels, num_channels, dtype=torch.float64)
        self._differences = torch.zeros_like(self._products)

    def add(self, features: Tensor, lab: Tensor) -> None:
        """Add an image.

        Args:
            features: (C, h, w).
            lab: the image's colours at the features' places, CIELAB, (3, h, w).
        """
        places = features.permute(1, 2, 0).contiguous()  # draws copy whole rows of memory
        flat = self._draw(places.flatten(0, 1))
        self.num_features += len(flat)
        self._sum += flat.sum(dim=0).double()
        self._products += (flat.T @ flat).double()
        height, width = lab.shape[1:]
        for down, right in ((1, 0), (0, 1)):
            edge = lab[:, down:, right:] - lab[:, : height - down, : width - right]
            rows, columns = self._draw(torch.nonzero(edge.norm(dim=0) < self.contrast)).T
            step = places[rows + down, columns + right] - places[rows, columns]
            self.num_pairs += len(step)
            self._differences += (step.T @ step).double()

    def _draw(self, values: Tensor) -> Tensor:
        """Draw ``max_places`` of values, (N, ...), if there are more."""
        if self.max_places is None or len(values) <= self.max_places:
            return values
        return values[torch.randperm(len(values), generator=self._rng)[: self.max_places]]

    @property
    def mean(self) -> Tensor:
        """Mean feature, (C,), float64."""
        return self._sum / self.num_features

    @property
    def second_moment(self) -> Tensor:
        """Mean of f f^T, (C, C), float64."""
        return self._products / self.num_features

    @property
    def covariance(self) -> Tensor:
        """Covariance of the features, (C, C), float64."""
        return self.second_moment - torch.outer(self.mean, self.mean)

    @property
    def noise(self) -> Tensor:
        """Covariance of the noise: half the mean of (f - g)(f - g)^T, (C, C), float64."""
        return self._differences / (2 * max(self.num_pairs, 1))


def leading_eigenvectors(matrix: Tensor, count: int) -> Tensor:
    """Compute eigenvectors of a symmetric matrix, (C, C), by decreasing eigenvalue; (C, count)."""
    size = len(matrix)
    # Only those wanted: this takes a third of the time for all when C is in the thousands.
    wanted = [max(size - count, 0), size - 1]
    _, vectors = scipy.linalg.eigh(matrix.numpy(), subset_by_index=wanted)
    return torch.from_numpy(vectors).flip(1)


def fit_whitening(
    statistics: NoiseStatistics, components: int = 128, dimensions: int = 48, ridge: float = 0.3
) -> AffineTransform:
    """Fit the transform of minimum noise fractions.

    With P the leading eigenvectors of the second moment, S = P^T covariance P and N the noise
    P^T noise P, scaled to a mean variance of 1, plus ``ridge`` times I, the rows of the matrix are
    the leading generalised eigenvectors v of S v = lambda N v, with v^T N v = 1, mapped back by P:
    noise is whitened, and the components are those with the largest variance after that. The ridge
    keeps directions that are almost free of noise from dominating.

    Args:
        statistics: of the training images.
        components: number of eigenvectors onto which features are projected first.
        dimensions: number of whitened components to keep, at most ``components``.
        ridge: share of white noise that is added.

    Returns:
        The transform from C channels to ``dimensions``.

    Raises:
        ValueError: if no neighbours look alike, or the features of those that do are equal, or
            ``dimensions`` is above ``components`` or the number of channels.
    """
    channels = len(statistics.mean)
    if not 1 <= dimensions <= min(components, channels):
        raise ValueError(
            f'dimensions must be from 1 to {min(components, channels)}, the lesser of components '
            f'({components}) and the channels of the features ({channels}), got {dimensions}'
        )
    basis = leading_eigenvectors(statistics.second_moment, components)
    signal = basis.T @ statistics.covariance @ basis
    noise = basis.T @ statistics.noise @ basis
    level = noise.diagonal().mean()
    if not level > 0:
        raise ValueError(
            f'features do not differ in {statistics.num_pairs} pairs of neighbours with a contrast '
            f'below {statistics.contrast}: there is no noise to whiten'
        )
    noise = noise / level + ridge * torch.eye(len(noise), dtype=noise.dtype)
    # With N = L L^T, S v = lambda N v is the ordinary problem of L^-1 S L^-T, of which w = L^T v.
    lower = torch.linalg.cholesky(noise)
    whitened = torch.linalg.solve_triangular(lower, signal, upper=False)
    whitened = torch.linalg.solve_triangular(lower, whitened.T, upper=False)
    vectors = leading_eigenvectors((whitened + whitened.T) / 2, dimensions)
    vectors = torch.linalg.solve_triangular(lower.T, vectors, upper=True)
    return AffineTransform(statistics.mean.float(), (basis @ vectors).T.float())

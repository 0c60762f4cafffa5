"""Images in memory, and their segmentations by networks that are fitted to them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np
import torch
from torch import Tensor, nn

from dynaseg.core.channels import add_components, image_channels
from dynaseg.core.fitting import Fit, Fitter
from dynaseg.core.labels import renumber
from dynaseg.core.losses import DynaSegLoss
from dynaseg.core.networks import ResponseNetwork
from dynaseg.core.normalization import Normalization
from dynaseg.core.process import one_thread, reused_memory
from dynaseg.core.regions import PLAIN, RegionHierarchy, RegionSettings, build_hierarchy
from dynaseg.core.regions.build import working_image
from dynaseg.core.regions.cues import soft_labels
from dynaseg.core.regions.labels import find_region_labels
from dynaseg.core.regions.spreading import spread_marks
from dynaseg.core.silhouette import estimate_num_clusters
from dynaseg.core.sizes import enlarge_labels

MAX_SEED = 2**63  # PyTorch's are of 64 bits, and several are made of one
LABEL_DETAIL = 0.75  # of the regions that clusters are made of: fine ones, without specks


@dataclass(frozen=True)
class Segmentation:
    """The segmentation of an image.

    Attributes:
        labels: cluster of each pixel, integers from 0, (H, W); parts of a cluster need not touch.
        fit: how the clusters came about where a network was fitted to the image; None where it was
            trained.
        names: of the labels, from 0, where a label means the same in every image, as those of a
            trained network do; None where labels are renumbered for each image.
        hierarchy: its regions from coarse to fine; None where there are clusters alone.
        regions: connected regions at the detail that was asked for, integers from 0, (H, W), or
            None.
    """

    labels: np.ndarray
    fit: Fit | None = None
    hierarchy: RegionHierarchy | None = None
    regions: np.ndarray | None = None
    names: tuple[str, ...] | None = None


class FittedPredictor:
    """Segments images by fitting a network to each, from the same start, as published.

    Args:
        network: maps normalised images (N, 3, H, W) to response maps (N, q, h, w); it is left
            unchanged, and images are segmented on its device.
        fitter: fits it.
        min_clusters: the least number of clusters of an image: a number, or ``'silhouette'`` for
            that of the image's colours (see :func:`dynaseg.core.estimate_num_clusters`).
        normalization: of the images.

    Raises:
        ValueError: if ``min_clusters`` is neither.

    Examples:
        >>> from dynaseg.core import ResponseNetwork
        >>> predictor = FittedPredictor(ResponseNetwork(channels=8), Fitter(iterations=3))
        >>> segmentation, = predictor([np.zeros((8, 12, 3), np.uint8)])
        >>> segmentation.labels.shape, segmentation.fit.iterations
        ((8, 12), 3)
    """

    gives_hierarchies = False

    def __init__(
        self,
        network: nn.Module,
        fitter: Fitter,
        min_clusters: int | str = 1,
        normalization: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        check_min_clusters(min_clusters)
        self.network = network
        self.fitter = fitter
        self.min_clusters = min_clusters
        self.normalization = normalization or Normalization()

    def __call__(self, images: Sequence[np.ndarray]) -> list[Segmentation]:
        """Segment images; those of one size are fitted at once.

        Args:
            images: RGB, uint8, each (H, W, 3).

        Returns:
            One segmentation an image; its labels are numbered without gaps.
        """
        return _by_size(images, self._segment)

    def _segment(self, images: list[np.ndarray]) -> list[Segmentation]:
        device = next(self.network.parameters()).device
        batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(device)
        least = [self._least(image) for image in images]
        results = self.fitter(self.network, self.normalization(batch), least)
        return [Segmentation(labels.numpy(), fit) for labels, fit in results]

    def _least(self, image: np.ndarray) -> int:
        if self.min_clusters == 'silhouette':
            return estimate_num_clusters(image)[0]
        return self.min_clusters


def check_min_clusters(min_clusters: object) -> None:
    """Raise ValueError unless it is a positive integer or ``'silhouette'``."""
    valid = isinstance(min_clusters, int) and min_clusters >= 1
    if not (valid or min_clusters == 'silhouette'):
        raise ValueError(
            f"min_clusters must be a positive integer or 'silhouette', got {min_clusters!r}"
        )


class RegionPredictor:
    """Makes hierarchies of regions of what several small networks, fitted to an image, say of it.

    Args:
        networks: map channels (N, C, h, w) to response maps (N, q, h, w): the starts of the fits,
            alike but for their weights, such as those of several seeds. Fits run on their device.
        fitter: fits them.
        channels: what they see of the image, at half its size; see
            :func:`dynaseg.core.channels.image_channels`.
        settings: of the hierarchy.
        features: computes levels of features, each (C, h, w), of an image, RGB, uint8, for settings
            that have weights for them.
        components: of how many principal components of the first levels of features the networks
            see, beside the channels.

    Raises:
        ValueError: if there is no network.

    Examples:
        >>> from dynaseg.core import ResponseNetwork
        >>> networks = [ResponseNetwork(9, channels=8) for _ in range(2)]
        >>> predictor = RegionPredictor(networks, Fitter(iterations=3, fit_pixels=2500))
        >>> segmentation, = predictor([np.zeros((8, 12, 3), np.uint8)])
        >>> segmentation.hierarchy.cut_to(1).shape
        (8, 12)
    """

    gives_hierarchies = True

    def __init__(
        self,
        networks: Sequence[nn.Module],
        fitter: Fitter,
        channels: str = 'texture',
        settings: RegionSettings = PLAIN,
        features: Callable[[np.ndarray], list[np.ndarray]] | None = None,
        components: Sequence[int] = (),
    ) -> None:
        if not networks:
            raise ValueError('networks must be at least one, got none')
        self.networks = list(networks)
        self.fitter = fitter
        self.channels = channels
        self.settings = settings
        self.features = features
        self.components = tuple(components)

    def __call__(self, images: Sequence[np.ndarray]) -> list[Segmentation]:
        """Segment images; those of one size are fitted at once.

        Args:
            images: RGB, uint8, each (H, W, 3).

        Returns:
            One segmentation an image. Its clusters are those of the first fit, and made of whole
            regions of a fine level.
        """
        return _by_size(images, self._segment)

    def segment_marked(
        self, image: np.ndarray, marks: np.ndarray, rest: int | None = None
    ) -> Segmentation:
        """Segment an image by the labels that a person gave to some of its pixels.

        They spread over the hierarchy: see :func:`dynaseg.core.regions.spreading.spread_marks`.

        Args:
            image: RGB, uint8, (H, W, 3).
            marks: label of each marked pixel, 0 to K - 1, and -1 for the others, (H, W).
            rest: the label of what no mark touches; None if there is none such.

        Returns:
            The segmentation; its labels are those of the marks.

        Raises:
            ValueError: if the marks are of another size, or no pixel is marked.
        """
        (segmentation,) = self([image])
        labels = spread_marks(segmentation.hierarchy, marks, rest)
        return replace(segmentation, labels=labels)

    def _segment(self, images: list[np.ndarray]) -> list[Segmentation]:
        seeds = len(self.networks)
        device = next(self.networks[0].parameters()).device
        with one_thread(), reused_memory():
            features = [self.features(image) if self.features else [] for image in images]
            channels = torch.stack(list(map(self._channels, images, features))).to(device)
            fits = self.fitter.fit(
                self.networks * len(images), channels.repeat_interleave(seeds, dim=0)
            )
            return [
                self._make_regions(image, levels, one[None], fits[row * seeds : (row + 1) * seeds])
                for row, (image, levels, one) in enumerate(
                    zip(images, features, channels, strict=True)
                )
            ]

    def _channels(self, image: np.ndarray, features: list[np.ndarray]) -> Tensor:
        image = working_image(image, self.settings.max_pixels)
        return add_components(image_channels(image, self.channels), features, self.components)

    def _make_regions(
        self, image: np.ndarray, features: list[np.ndarray], channels: Tensor, fits: list[Fit]
    ) -> Segmentation:
        soft_maps = [soft_labels(fit.respond(channels)) for fit in fits]
        hierarchy = build_hierarchy(image, soft_maps, features, self.settings)
        clusters = torch.from_numpy(soft_maps[0].argmax(axis=0))[None]
        clusters = enlarge_labels(clusters, hierarchy.leaves.shape)[0].numpy()
        regions = hierarchy.cut(hierarchy.altitude(LABEL_DETAIL))
        labels = renumber(find_region_labels(clusters, regions))[regions]
        return Segmentation(labels, fits[0], hierarchy)


def make_region_predictor(device: torch.device | str = 'cpu', seed: int = 0) -> RegionPredictor:
    """Make the predictor that suits photographs: four small networks, fitted to texture.

    Its settings are those of ``configs/dynaseg/segment.py``; docs/regions.md has how they were
    chosen.

    Args:
        device: where fits run.
        seed: of the networks' weights, at least 0.

    Returns:
        The predictor.

    Raises:
        ValueError: if the seed is not an integer, negative, or 2^63 or more.
    """
    check_seed(seed)
    networks = [network.to(device) for network in make_region_networks(seed)]
    loss = DynaSegLoss('fsf', reduction='none')
    return RegionPredictor(networks, Fitter(loss, iterations=20, lr=0.2, fit_pixels=1600))


def check_seed(seed: int) -> None:
    """Raise ValueError unless PyTorch takes a seed, and those that are made of it."""
    if not (isinstance(seed, Integral) and 0 <= seed < MAX_SEED):
        raise ValueError(f'seed must be an integer of at least 0 and below 2^63, got {seed!r}')


def make_region_networks(seed: int = 0, in_channels: int = 9) -> list[ResponseNetwork]:
    """Make the four small networks of :func:`make_region_predictor`, for so many channels."""
    networks = []
    with torch.random.fork_rng(devices=()):
        for start in start_seeds(seed, 4):
            torch.manual_seed(start)
            networks.append(ResponseNetwork(in_channels, channels=32))
    return networks


def start_seeds(seed: int, number: int) -> list[int]:
    """Make the seeds of the weights from which several fits to an image start.

    Examples:
        >>> start_seeds(7, 3)
        [7, 1007, 2007]
    """
    return [seed + 1000 * index for index in range(number)]


def _by_size(
    images: Sequence[np.ndarray], segment: Callable[[list[np.ndarray]], list[Segmentation]]
) -> list[Segmentation]:
    """Segment images, those of one size together; returns them in the order of the images."""
    segmentations: list[Segmentation | None] = [None] * len(images)
    for shape in dict.fromkeys(image.shape for image in images):
        rows = [row for row, image in enumerate(images) if image.shape == shape]
        for row, one in zip(rows, segment([images[row] for row in rows]), strict=True):
            segmentations[row] = one
    return segmentations

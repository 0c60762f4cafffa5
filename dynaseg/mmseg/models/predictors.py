"""Predictors that segment test images for a segmentor: as trained, or fitted to each image."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from mmseg.models.builder import build_backbone
from torch import Tensor, nn

from dynaseg.core import DynaSegLoss, Fitter, LabelRefinement
from dynaseg.core.channels import CHANNELS, image_channels
from dynaseg.core.normalization import Normalization
from dynaseg.core.regions import DEEP, PLAIN, build_hierarchy
from dynaseg.core.sizes import enlarge_labels, limit_size
from dynaseg.core.voting import sum_groups
from dynaseg.io.names import ClusterNames, name_clusters
from dynaseg.mmseg.scratch import initialise
from dynaseg.predictor import (
    FittedPredictor,
    RegionPredictor,
    Segmentation,
    check_min_clusters,
    start_seeds,
)

NUM_COLOURS = 3
# What fits for regions do not use: they give only soft labels.
LABEL_KEYS = ('min_clusters', 'refine', 'min_region', 'predict_scale', 'predict_pixels')


@contextmanager
def named(key: str) -> Iterator[None]:
    """Prefix the errors that the arguments of a config raise with its key."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f'{key}: {error}') from error


class SegmentationSettings:
    """The entries ``fit`` and ``regions`` of a ``test_cfg``, checked.

    Args:
        loss: the head's loss, which fits minimise.
        fit: see :class:`dynaseg.mmseg.models.DynaSeg`.
        regions: see :class:`dynaseg.mmseg.models.DynaSeg`.

    Attributes:
        num_channels: number of channels of the images that the backbone sees.

    Raises:
        ValueError, TypeError: if an entry is unknown or out of range; it is named.
    """

    def __init__(self, loss: nn.Module, fit: Mapping | None, regions: Mapping | None) -> None:
        self.fitter = self.region_settings = self.features = None
        self.min_clusters = self.num_fits = 1
        self.channels, self.components = 'texture', ()
        self.num_channels = NUM_COLOURS
        if fit is not None:
            with named('test_cfg.fit'):
                self._read_fit(loss, dict(fit))
        if regions is not None:
            with named('test_cfg.regions'):
                self._read_regions(dict(regions), fit is not None)
            unused = [key for key in LABEL_KEYS if fit is not None and key in fit]
            if unused:
                raise ValueError(f'test_cfg.fit: {", ".join(unused)} are not used with regions')

    def _read_fit(self, loss: nn.Module, fit: dict) -> None:
        if not isinstance(loss, DynaSegLoss):
            raise ValueError(
                f"needs decode_head.loss_decode of type 'DynaSegLoss', got {type(loss).__name__!r}"
            )
        self.min_clusters = fit.pop('min_clusters', 1)
        check_min_clusters(self.min_clusters)
        refinement = fit.pop('refine', None)
        if refinement is not None:
            with named('refine'):
                refinement = LabelRefinement(**refinement)
        self.fitter = Fitter(loss.without_reduction(), refinement=refinement, **fit)

    def _read_regions(self, regions: dict, is_fitted: bool) -> None:
        if is_fitted:
            self.channels = regions.pop('channels', 'texture')
            if self.channels not in CHANNELS:
                raise ValueError(f'channels must be one of {CHANNELS}, got {self.channels!r}')
            self.num_fits = regions.pop('num_fits', 4)
            if not (isinstance(self.num_fits, int) and self.num_fits >= 1):
                raise ValueError(f'num_fits must be a positive integer, got {self.num_fits!r}')
            self.components = tuple(regions.pop('components', ()))
            example = image_channels(np.zeros((16, 16, 3), np.uint8), self.channels)
            self.num_channels = len(example) + sum(self.components)
        backbone = regions.pop('backbone', None)
        presets = {'plain': PLAIN, 'deep': DEEP}
        preset = regions.pop('preset', 'plain')
        if preset not in presets:
            raise ValueError(f'preset must be one of {tuple(presets)}, got {preset!r}')
        if 'cost' in regions:
            with named('cost'):
                regions['cost'] = replace(presets[preset].cost, **regions['cost'])
        self.region_settings = replace(presets[preset], **regions)
        if (backbone is None) != (not self.region_settings.features and not self.components):
            raise ValueError(
                'backbone is needed exactly if its features have weights (features, or preset='
                f"'deep') or are seen by the fits (components), got {backbone!r}"
            )
        if backbone is not None:
            self.features = BackboneFeatures(backbone, self.region_settings.max_pixels)


def make_predictor(
    segmentor: nn.Module, settings: SegmentationSettings, names: ClusterNames | None = None
) -> 'FittedPredictor | RegionPredictor | TrainedPredictor':
    """Make the predictor of images, RGB, uint8, (H, W, 3), with the segmentor's current weights.

    Args:
        segmentor: the segmentor, with weights.
        settings: the settings of its tests.
        names: names of its clusters, if it is not fitted to images.

    Returns:
        The predictor.

    Raises:
        ValueError: if the names are not those of the clusters, or clusters cannot have names.
    """
    if settings.fitter is None:
        return TrainedPredictor(segmentor, settings, names)
    if names is not None:
        raise ValueError('test_cfg.fit makes new clusters for each image: they have no names')
    network = _Responses(segmentor)
    if settings.region_settings is None:
        return FittedPredictor(
            network, settings.fitter, settings.min_clusters, segmentor.normalise.from_rgb
        )
    networks = [network]
    device = next(segmentor.parameters()).device
    for seed in start_seeds(segmentor.weights_seed, settings.num_fits)[1:]:
        other = copy.deepcopy(segmentor).cpu()  # a GPU draws other numbers
        initialise(other, seed)
        networks.append(_Responses(other.to(device)))
    return RegionPredictor(
        networks,
        settings.fitter,
        settings.channels,
        settings.region_settings,
        settings.features,
        settings.components,
    )


class BackboneFeatures:
    """Computes levels of features of an image, seen at twice its size.

    Args:
        backbone: config of a backbone, for images normalised with ImageNet's mean and deviation.
        max_pixels: larger images are first shrunk to about this many pixels.
    """

    def __init__(self, backbone: dict, max_pixels: int) -> None:
        self.backbone = build_backbone(backbone)
        self.backbone.init_weights()
        self.backbone.eval()
        self.max_pixels = max_pixels

    @torch.no_grad()
    def __call__(self, image: np.ndarray) -> list[np.ndarray]:
        """Compute the levels, each (C, h, w), of an image, RGB, uint8, (H, W, 3)."""
        pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
        img = Normalization()(limit_size(pixels.float(), self.max_pixels))
        img = F.interpolate(img, scale_factor=2, mode='bilinear')
        return [level[0].numpy() for level in self.backbone(img)]


class TrainedPredictor:
    """Segments images with a trained segmentor: cluster k has the label k in every image.

    Args:
        segmentor: the segmentor, in evaluation mode. Images larger than its
            ``test_cfg.predict_pixels`` are seen at that size.
        settings: with ``regions``, a hierarchy is made from the segmentor's probabilities.
        names: names of its clusters, which vote together if they share one; labels are then those
            of the names, with one more, ``'unnamed'``, for clusters without a name.

    Attributes:
        names: names of the labels, from 0.

    Raises:
        ValueError: if there are names of clusters that the segmentor does not have.
    """

    def __init__(
        self,
        segmentor: nn.Module,
        settings: SegmentationSettings,
        names: ClusterNames | None = None,
    ) -> None:
        self.segmentor = segmentor
        self.settings = settings
        number = segmentor.num_classes
        names = names or segmentor.names
        if names is None:
            self.groups = segmentor.groups
            self.table = np.arange(number)
            self.names = name_clusters(number)
        else:
            self.table, self.names = names.number_labels(number)
            self.groups = segmentor.find_groups(names)

    @property
    def gives_hierarchies(self) -> bool:
        """Whether there are regions from coarse to fine, and not clusters alone."""
        return self.settings.region_settings is not None

    @torch.no_grad()
    def __call__(self, images: Sequence[np.ndarray]) -> list[Segmentation]:
        """Segment images, RGB, uint8, each (H, W, 3); labels are the clusters."""
        with self.segmentor.voting(self.groups):
            return [self._segment(image) for image in images]

    def _segment(self, image: np.ndarray) -> Segmentation:
        device = next(self.segmentor.parameters()).device
        pixels = torch.from_numpy(np.ascontiguousarray(image)).to(device)
        img = pixels.permute(2, 0, 1).flip(0)[None]
        probabilities = self.segmentor.predict(img)
        labels = enlarge_labels(probabilities.argmax(dim=1), image.shape[:2])[0].cpu().numpy()
        hierarchy = None
        if self.settings.region_settings is not None:
            features = self.settings.features(image) if self.settings.features else ()
            hierarchy = build_hierarchy(
                image, [self._soften(probabilities)], features, self.settings.region_settings
            )
        return Segmentation(self.table[labels], hierarchy=hierarchy, names=self.names)

    def _soften(self, probabilities: Tensor) -> np.ndarray:
        """Make a soft map, (K, h, w), of probabilities, (1, K, h, w): of names if there are any."""
        if self.groups is not None:  # of which each pixel has one cluster: no border within a name
            probabilities = sum_groups(probabilities, self.groups)
        soft = probabilities[0].clamp(min=0)  # a filter may leave some below 0
        return (soft / soft.sum(dim=0)).cpu().numpy()


class _Responses(nn.Module):
    """A segmentor as a plain network from normalised images to response maps."""

    def __init__(self, segmentor: nn.Module) -> None:
        super().__init__()
        self.segmentor = segmentor

    def forward(self, img: Tensor) -> Tensor:
        return self.segmentor.response(img)

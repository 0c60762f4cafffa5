"""Fitting networks to images without labels: the published way of using DynaSeg.

References:
    Guermazi, Ksantini, Khan: DynaSeg, Image and Vision Computing 2024, https://arxiv.org/abs/2405.05477
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dynaseg.core.finite import describe_not_finite
from dynaseg.core.labels import merge_small_regions, renumber
from dynaseg.core.losses import DynaSegLoss, marked_cross_entropy
from dynaseg.core.networks import Weights, respond_each, use_batch_statistics
from dynaseg.core.process import reused_memory
from dynaseg.core.refinement import LabelRefinement
from dynaseg.core.sizes import (
    check_prediction,
    enlarge,
    enlarge_labels,
    limit_size,
    resize_maps,
    shrink_marks,
)


@dataclass
class Fit:
    """A network fitted to an image.

    Attributes:
        network: the network, whose batch normalisation uses the statistics of its input.
        weights: the fitted parameters, by name, each (1, ...).
        num_clusters: clusters of the response map (q') at the start and after each step.
        losses: the loss at the start and after each step.
        min_clusters: the least number of clusters that the image was to keep.
        stop_reason: ``'min_clusters'``, ``'converged'`` or ``'iterations'``.
        bf16: whether it computes in bfloat16.
    """

    network: nn.Module = field(repr=False)
    weights: Weights = field(repr=False)
    num_clusters: list[int]
    losses: list[float]
    min_clusters: int
    stop_reason: str
    bf16: bool = False

    @property
    def iterations(self) -> int:
        """Number of optimisation steps."""
        return len(self.losses) - 1

    def end(self, stop_reason: str, weights: Weights, row: int) -> None:
        """Store the weights of a row, and why the fit stopped there."""
        self.weights = {name: value[row : row + 1].detach() for name, value in weights.items()}
        self.stop_reason = stop_reason

    @torch.no_grad()
    def respond(self, image: Tensor) -> Tensor:
        """Compute the response map, (1, q, h, w), of an image, (1, C, H, W), of any size."""
        seen = _widen(image)
        response = respond_each(self.network, self.weights, seen, self.bf16)
        return response if seen is image else response[..., :1]


class FitResult(NamedTuple):
    """The labels of an image, int64, (H, W), on the CPU, numbered without gaps, and their fit."""

    labels: Tensor
    fit: Fit


class Fitter:
    """Fits a network to each image by stochastic gradient descent on :class:`DynaSegLoss`.

    Each image has its own copy of the weights, its own batch statistics, its own dynamic weight and
    its own stopping point, so an image's result does not depend on the others in the batch. The
    networks of a batch run together, on a GPU as one network of grouped convolutions.

    An image is finished when another step would leave fewer clusters than required (the state
    before that step is kept), when its labels have converged, or after ``iterations`` steps. None
    of the three uses annotations.

    Args:
        loss: the loss, with reduction ``'none'``; DynaSeg's by default.
        iterations: maximum number of steps per image.
        lr: learning rate.
        momentum: momentum.
        fit_pixels: larger images are fitted at about this many pixels, and the fitted network then
            predicts at the image's own size; None fits at the image's own size, as published.
        predict_scale: the fitted network sees the image enlarged by this factor. Convolutions give
            the strip where regions meet labels of its own; enlarging makes it thinner.
        predict_pixels: maximum number of pixels that the fitted network sees at once, which bounds
            memory; larger images are shrunk to it, and their labels enlarged. None for no limit.
        tol: an image's labels have converged when at most this share of its pixels changed since
            the last check; None disables this.
        check_interval: steps between checks for convergence.
        refinement: moves the borders of the labels to the edges of the image, at the size at which
            the fitted network predicts (at most the image's own); None leaves them as predicted.
        min_region: connected components below this share of the image's pixels are merged into
            their neighbours at the end; 0 keeps all. ``min_clusters`` still holds after that.
        marks_weight: weight of the cross-entropy on the pixels that a person marked; .5 in Kim et
            al.
        bf16: whether the network computes in bfloat16 (the loss and the weights stay in float32)
            on processors that support it, about twice as fast; on others it stays in float32.

    Raises:
        ValueError: if an argument is out of range.

    Examples:
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8))
        >>> result, = Fitter(iterations=5)(network, torch.rand(1, 3, 12, 16))
        >>> result.labels.shape, result.fit.iterations, result.fit.stop_reason
        (torch.Size([12, 16]), 5, 'iterations')
        >>> result.fit.respond(torch.rand(1, 3, 6, 8)).shape
        torch.Size([1, 8, 6, 8])
    """

    def __init__(
        self,
        loss: DynaSegLoss | None = None,
        iterations: int = 1000,
        lr: float = 0.1,
        momentum: float = 0.9,
        fit_pixels: int | None = None,
        predict_scale: float = 1.0,
        predict_pixels: int | None = None,
        tol: float | None = None,
        check_interval: int = 10,
        refinement: LabelRefinement | None = None,
        min_region: float = 0.0,
        marks_weight: float = 0.5,
        bf16: bool = False,
    ) -> None:
        self.loss = DynaSegLoss(reduction='none') if loss is None else loss
        if self.loss.reduction != 'none':
            raise ValueError(f"loss must have reduction 'none', got {self.loss.reduction!r}")
        if not (isinstance(iterations, int) and iterations >= 0):
            raise ValueError(f'iterations must be an integer of at least 0, got {iterations!r}')
        if not (isinstance(lr, Real) and 0 < lr < math.inf):
            raise ValueError(f'lr must be positive and finite, got {lr!r}')
        if not (isinstance(momentum, Real) and 0 <= momentum < 1):
            raise ValueError(f'momentum must lie in [0, 1), got {momentum!r}')
        if not (fit_pixels is None or (isinstance(fit_pixels, Integral) and fit_pixels >= 1)):
            raise ValueError(f'fit_pixels must be a positive integer or None, got {fit_pixels!r}')
        check_prediction(predict_scale, predict_pixels)
        if not (tol is None or (isinstance(tol, Real) and 0 <= tol < 1)):
            raise ValueError(f'tol must lie in [0, 1) or be None, got {tol!r}')
        if not (isinstance(check_interval, int) and check_interval >= 1):
            raise ValueError(
                f'check_interval must be an integer of at least 1, got {check_interval!r}'
            )
        if not (isinstance(min_region, Real) and 0 <= min_region < 1):
            raise ValueError(f'min_region must lie in [0, 1), got {min_region!r}')
        if not (isinstance(marks_weight, Real) and 0 <= marks_weight < math.inf):
            raise ValueError(f'marks_weight must be finite and at least 0, got {marks_weight!r}')
        self.iterations = iterations
        self.lr = lr
        self.momentum = momentum
        self.fit_pixels = fit_pixels
        self.predict_scale = predict_scale
        self.predict_pixels = predict_pixels
        self.tol = tol
        self.check_interval = check_interval
        self.refinement = refinement
        self.min_region = min_region
        self.marks_weight = marks_weight
        self.bf16 = bf16

    def __call__(
        self,
        networks: nn.Module | Sequence[nn.Module],
        images: Tensor,
        min_clusters: int | Sequence[int] = 1,
    ) -> list[FitResult]:
        """Fit a network to each image of a batch and label the images; as :meth:`fit`."""
        with reused_memory():
            fits = self.fit(networks, images, min_clusters)
            return [
                FitResult(self.label(fit, image), fit)
                for fit, image in zip(fits, images.split(1), strict=True)
            ]

    @torch.inference_mode(False)
    def fit(
        self,
        networks: nn.Module | Sequence[nn.Module],
        images: Tensor,
        min_clusters: int | Sequence[int] = 1,
        marks: Tensor | None = None,
    ) -> list[Fit]:
        """Fit a network to each image of a batch, all at once.

        Args:
            networks: maps images (N, C, H, W) to response maps (N, q, h, w): the network from
                whose weights every image starts, or one per image, which differ only in their
                trainable weights. They are left unchanged.
            images: normalised images, (N, C, H, W).
            min_clusters: the least number of clusters, for each image or for all. An image that
                has fewer from the start must keep those.
            marks: label of each pixel that a person marked, 0 to q - 1, the channel of the
                response that should be strongest there, and -1 for the others, int64, (N, H, W) at
                the images' size or a larger one.

        Returns:
            One fit per image.

        Raises:
            ValueError: if the images are not (N, C, H, W), there are not as many networks, numbers
                of clusters or marks as images, or such a number is not a positive integer.
            FloatingPointError: if a loss becomes NaN or infinite; it names step and weights.
        """
        if images.ndim != 4 or 0 in images.shape:
            raise ValueError(f'images must be (N, C, H, W), got {tuple(images.shape)}')
        if images.is_inference():
            images = images.clone()  # or there would be no gradients
        networks = _one_each(networks, nn.Module, len(images), 'networks')
        min_clusters = _one_each(min_clusters, Real, len(images), 'min_clusters')
        if not all(isinstance(least, Integral) and least >= 1 for least in min_clusters):
            raise ValueError(f'min_clusters must be positive integers, got {min_clusters}')
        network = use_batch_statistics(networks[0])
        own = [dict(one.named_parameters()) for one in networks]
        weights = {
            name: torch.stack([one[name].detach() for one in own])
            for name, value in network.named_parameters()
            if value.requires_grad
        }
        small = _widen(limit_size(images, self.fit_pixels))
        if marks is not None:
            if marks.ndim != 3 or len(marks) != len(images):
                raise ValueError(
                    f'marks must be ({len(images)}, H, W), one map per image, '
                    f'got {tuple(marks.shape)}'
                )
            marks = shrink_marks(marks, small.shape[2:]).to(small.device)
        fits = [Fit(network, {}, [], [], least, '', self.bf16) for least in min_clusters]
        self._optimise(network, weights, small, marks, fits)
        return fits

    def label(self, fit: Fit, image: Tensor) -> Tensor:
        """Label an image with the network fitted to it.

        Args:
            fit: the fit.
            image: the normalised image, (1, C, H, W).

        Returns:
            Cluster of each pixel, numbered without gaps, int64, on the CPU, (H, W).
        """
        size = image.shape[2:]
        min_labels = fit.min_clusters
        seen = limit_size(image, self.predict_pixels)
        response = fit.respond(enlarge(seen, self.predict_scale, self.predict_pixels))
        labels = resize_maps(response, seen.shape[2:]).argmax(dim=1)
        if len(labels.unique()) < min_labels:
            # They exist at the size of the fit; a cluster may be too small to show up here.
            fitted = limit_size(image, self.fit_pixels)
            labels = fit.respond(fitted).argmax(dim=1)
            seen = max(seen, fitted, key=Tensor.numel)
            labels = enlarge_labels(labels, seen.shape[2:])
        if self.refinement is not None:
            labels = self.refinement(labels, seen, min_labels)
        labels = enlarge_labels(labels, size)[0].cpu().numpy()
        if self.min_region:
            min_pixels = math.ceil(self.min_region * labels.size)
            labels = merge_small_regions(labels, min_pixels, min_labels)
        return torch.from_numpy(renumber(labels))

    @torch.enable_grad()
    def _optimise(
        self,
        network: nn.Module,
        weights: Weights,
        images: Tensor,
        marks: Tensor | None,
        fits: list[Fit],
    ) -> None:
        """Run the steps on images, (N, C, h, w), and record the course of each in its fit."""
        before = weights
        buffers = {name: torch.zeros_like(value) for name, value in weights.items()}
        checked = None
        for step in range(self.iterations + 1):
            weights = {name: value.requires_grad_() for name, value in weights.items()}
            loss, labels, counts = self._observe(network, weights, images, marks)
            converged = [False] * len(fits)
            if self.tol is not None and step and step % self.check_interval == 0:
                if checked is not None:
                    changed = (labels != checked).flatten(1).float().mean(dim=1)
                    converged = (changed <= self.tol).tolist()
                checked = labels
            for row, (fit, count, value) in enumerate(
                zip(fits, counts, loss.tolist(), strict=True)
            ):
                if not math.isfinite(value):
                    own = {name: weight[row] for name, weight in weights.items()}
                    cause = describe_not_finite(own) or 'the weights are still finite'
                    raise FloatingPointError(f'loss {value} after {step} steps: {cause}')
                if step == 0:  # clusters missing from the start cannot come back
                    fit.min_clusters = min(fit.min_clusters, count)
                if count < fit.min_clusters:
                    fit.end('min_clusters', before, row)
                    continue
                fit.num_clusters.append(count)
                fit.losses.append(value)
                if converged[row]:
                    fit.end('converged', weights, row)
                elif step == self.iterations:
                    fit.end('iterations', weights, row)
            going = [row for row, fit in enumerate(fits) if not fit.stop_reason]
            if not going:
                return
            gradients = torch.autograd.grad(
                loss.sum(), tuple(weights.values()), allow_unused=True, materialize_grads=True
            )  # a network may have levels that its response does not use
            for name, gradient in zip(weights, gradients, strict=True):
                buffers[name] = self.momentum * buffers[name] + gradient
            before = {name: value.detach() for name, value in weights.items()}
            weights = {name: value - self.lr * buffers[name] for name, value in before.items()}
            if len(going) < len(fits):
                weights, before, buffers = (
                    {name: value[going] for name, value in values.items()}
                    for values in (weights, before, buffers)
                )
                fits, images = [fits[row] for row in going], images[going]
                marks = None if marks is None else marks[going]
                checked = None if checked is None else checked[going]

    def _observe(
        self, network: nn.Module, weights: Weights, images: Tensor, marks: Tensor | None
    ) -> tuple[Tensor, Tensor, list[int]]:
        """Compute each image's loss, (N,), with its graph, labels, (N, h, w), and clusters."""
        response = respond_each(network, weights, images, self.bf16)
        labels = response.detach().argmax(dim=1)
        parts = self.loss(response, labels)
        loss = sum(value for name, value in parts.items() if name.startswith('loss'))
        if marks is not None:
            loss = loss + self.marks_weight * marked_cross_entropy(response, marks)
        return loss, labels, [int(count) for count in parts['num_clusters'].tolist()]


def _widen(images: Tensor) -> Tensor:
    """Duplicate a single pixel: batch normalisation needs more than one value."""
    return images.expand(-1, -1, 1, 2) if images.shape[2:] == (1, 1) else images


def _one_each(values: object, kind: type, number: int, name: str) -> list:
    """Repeat a single value for every image, or check that there are as many as images."""
    values = [values] * number if isinstance(values, kind) else list(values)
    if len(values) != number:
        raise ValueError(f'expected {number} {name}, one per image, got {len(values)}')
    return values

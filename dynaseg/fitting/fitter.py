"""Fitting a network to images without labels: the published way of using DynaSeg.

References:
    Guermazi, Ksantini, Khan: DynaSeg, Image and Vision Computing 2024, https://arxiv.org/abs/2405.05477
"""

import copy
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.modules.batchnorm import _BatchNorm

from dynaseg.fitting.cleanup import merge_small_regions
from dynaseg.models.losses.dynaseg_loss import DynaSegLoss, count_clusters
from dynaseg.utils.memory import keep_freed_memory


@dataclass
class FitResult:
    """What fitting one image gave.

    Attributes:
        labels: cluster of each pixel, numbered 0, 1, ... without gaps, int64, on the CPU, (H, W).
        num_clusters: clusters of the response map (q') at the start and after each step.
        losses: the loss at the start and after each step.
        iterations: number of optimisation steps.
        floor: the number of clusters below which the image was not to fall.
        stop_reason: ``'floor'``, ``'settled'`` or ``'iterations'``; ``'trained'`` where a network
            predicted without being fitted.
    """

    labels: Tensor
    num_clusters: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    iterations: int = 0
    floor: int = 1
    stop_reason: str = 'trained'


class Fitter:
    """Fits a network to each image by stochastic gradient descent on :class:`DynaSegLoss`.

    Each image has its own copy of the weights, its own batch statistics, its own dynamic weight and
    its own end, so an image's result does not depend on the others that it is fitted with. The
    networks run together, on a GPU as one network of grouped convolutions.

    An image is finished when another step would leave fewer clusters than its floor (the state
    before that step is kept), when its labels have settled, or after ``iterations`` steps. No label
    takes part in any of the three.

    Args:
        loss: the loss, whose reduction is ``'none'``; DynaSeg's by default.
        iterations: most steps an image.
        lr: learning rate.
        momentum: momentum.
        fit_pixels: images of more pixels are fitted at a size of about that many, and the fitted
            network then predicts at the image's own size; None fits at the image's own size, as
            published.
        predict_pixels: images of more pixels are predicted at a size of about that many, and the
            labels enlarged, which bounds the memory; None for no bound.
        settled: an image's labels have settled when at most this share of its pixels changed
            since the last check; None never stops for that.
        check_interval: steps between checks for finished images, at which the host waits for the
            device.
        min_region: connected components below this share of the image's pixels are merged into
            their neighbours in the end; 0 keeps all. The floor holds for what is left.
        bf16: whether the network computes in bfloat16 (the loss and the weights stay in float32)
            on processors that have it, about twice as fast; on others it stays in float32.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> from torch import nn
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8))
        >>> result, = Fitter(iterations=5)(network, torch.rand(1, 3, 12, 16))
        >>> result.labels.shape, result.iterations, result.stop_reason
        (torch.Size([12, 16]), 5, 'iterations')
    """

    def __init__(
        self,
        loss: DynaSegLoss | None = None,
        iterations: int = 1000,
        lr: float = 0.1,
        momentum: float = 0.9,
        fit_pixels: int | None = None,
        predict_pixels: int | None = None,
        settled: float | None = None,
        check_interval: int = 10,
        min_region: float = 0.0,
        bf16: bool = False,
    ) -> None:
        self.loss = DynaSegLoss(reduction='none') if loss is None else loss
        self.iterations = iterations
        self.lr = lr
        self.momentum = momentum
        self.fit_pixels = fit_pixels
        self.predict_pixels = predict_pixels
        self.settled = settled
        self.check_interval = check_interval
        self.min_region = min_region
        self.bf16 = bf16
        checks = {
            'loss': (self.loss.reduction == 'none', "of reduction 'none'"),
            'iterations': (iterations >= 0, 'at least 0'),
            'lr': (lr > 0, 'positive'),
            'momentum': (0 <= momentum < 1, 'in [0, 1)'),
            'fit_pixels': (fit_pixels is None or fit_pixels > 0, 'positive or None'),
            'predict_pixels': (predict_pixels is None or predict_pixels > 0, 'positive or None'),
            'settled': (settled is None or 0 <= settled < 1, 'in [0, 1) or None'),
            'check_interval': (check_interval >= 1, 'at least 1'),
            'min_region': (0 <= min_region < 1, 'in [0, 1)'),
        }
        for name, (right, expected) in checks.items():
            if not right:
                raise ValueError(f'{name} must be {expected}, got {getattr(self, name)!r}')

    def __call__(
        self, network: nn.Module, images: Tensor, floors: int | Sequence[int] = 1
    ) -> list[FitResult]:
        """Fit the network to each image.

        Args:
            network: maps images (N, 3, H, W) to response maps (N, q, h, w). It is left unchanged;
                every image starts from its present weights.
            images: normalised images, (N, 3, H, W).
            floors: the least number of clusters of each image, or of all.

        Returns:
            One result an image.

        Raises:
            ValueError: if the images are not (N, 3, H, W) or the floors do not fit their number.
        """
        if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
            raise ValueError(f'images must be (N, 3, H, W), got {tuple(images.shape)}')
        floors = [floors] * len(images) if isinstance(floors, int) else list(floors)
        if len(floors) != len(images):
            raise ValueError(f'expected {len(images)} floors, one an image, got {len(floors)}')
        if images[0, 0].numel() == 1:  # nothing to normalise over, and nothing to tell apart
            single = torch.zeros(images.shape[2:], dtype=torch.int64)
            return [FitResult(single, [1], stop_reason='floor') for _ in floors]
        if images.is_cpu:
            keep_freed_memory()
        network = use_batch_statistics(network)
        results = [FitResult(torch.empty(0), floor=floor) for floor in floors]
        small = limit_size(images, self.fit_pixels)
        with torch.enable_grad():
            fitted = self._optimise(network, small, results)
        with torch.no_grad():
            for row, (result, weights) in enumerate(zip(results, fitted, strict=True)):
                weights = {name: value[None] for name, value in weights.items()}
                floor = min(result.floor, result.num_clusters[0])
                result.labels = self._predict(
                    network, weights, images[row : row + 1], small[row : row + 1], floor
                )
        return results

    def _optimise(
        self, network: nn.Module, images: Tensor, results: list[FitResult]
    ) -> list[dict[str, Tensor]]:
        """Run the iterations, fill in the results, and return each image's fitted weights."""
        weights = {
            name: value.detach().expand(len(images), *value.shape).clone()
            for name, value in network.named_parameters()
            if value.requires_grad
        }
        speeds = {name: torch.zeros_like(value) for name, value in weights.items()}
        before = weights
        floors = torch.tensor([result.floor for result in results], device=images.device)
        going = torch.ones(len(images), dtype=torch.bool, device=images.device)
        fitted = [None] * len(images)
        members = list(range(len(images)))  # which images the rows of the batch are
        checked, history = None, []
        for step in range(self.iterations + 1):
            for value in weights.values():
                value.requires_grad_()
            response = self._respond(network, weights, images)
            labels = response.detach().argmax(dim=1)
            counts = count_clusters(labels, response.shape[1])
            if step == 0:  # an image with fewer clusters from the start cannot get them back
                floors = torch.minimum(floors, counts)
            # An image that fell below its floor goes back to the step before, for good.
            fell = going & (counts < floors)
            going = going & ~fell
            held = {
                name: torch.where(spread(fell, value), before[name], value.detach())
                for name, value in weights.items()
            }
            parts = self.loss(response, labels)
            loss = parts['loss_sim'] + parts['loss_con']
            history.append((counts, loss.detach(), going))

            stay = None
            if step == self.iterations or (step > 0 and step % self.check_interval == 0):
                settled = torch.zeros_like(going)
                if self.settled is not None and checked is not None:
                    changed = (labels != checked).flatten(1).float().mean(dim=1)
                    settled = changed <= self.settled
                checked = labels
                stay = self._check(history, members, settled, step, results)
                history = []
                for row, member in enumerate(members):
                    if row not in stay:
                        fitted[member] = {name: value[row] for name, value in held.items()}
                if not stay:
                    break
            gradients = torch.autograd.grad(loss.sum(), tuple(weights.values()))
            for name, gradient in zip(weights, gradients, strict=True):
                speeds[name] = self.momentum * speeds[name] + gradient
            before = held
            weights = {
                name: torch.where(spread(going, value), value - self.lr * speeds[name], value)
                for name, value in held.items()
            }
            if stay is not None and len(stay) < len(members):
                members = [members[row] for row in stay]
                images, floors, going, checked = (
                    value[stay] for value in (images, floors, going, checked)
                )
                weights, speeds, before = (
                    {name: value[stay] for name, value in values.items()}
                    for values in (weights, speeds, before)
                )
        return fitted

    def _check(
        self,
        history: list[tuple[Tensor, Tensor, Tensor]],
        members: list[int],
        settled: Tensor,
        step: int,
        results: list[FitResult],
    ) -> list[int]:
        """Write down what happened since the last check; return the rows that are not finished."""
        counts, losses, going = (
            torch.stack(values).tolist() for values in zip(*history, strict=True)
        )
        settled = settled.tolist()
        stay = []
        for row, member in enumerate(members):
            result = results[member]
            for count, loss, valid in zip(counts, losses, going, strict=True):
                if valid[row]:
                    result.num_clusters.append(count[row])
                    result.losses.append(loss[row])
            result.iterations = len(result.num_clusters) - 1
            if not going[-1][row]:
                result.stop_reason = 'floor'
            elif settled[row]:
                result.stop_reason = 'settled'
            elif step == self.iterations:
                result.stop_reason = 'iterations'
            else:
                stay.append(row)
        return stay

    def _respond(self, network: nn.Module, weights: dict[str, Tensor], images: Tensor) -> Tensor:
        """Compute each image's response map with its own weights, float32, (N, q, h, w)."""
        bf16 = self.bf16 and has_bf16(images.device.type)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
            return respond(network, weights, images).float()

    def _predict(
        self,
        network: nn.Module,
        weights: dict[str, Tensor],
        image: Tensor,
        small: Tensor,
        floor: int,
    ) -> Tensor:
        """Label an image, (1, 3, H, W), with its fitted weights; return (H, W) on the CPU.

        ``small`` is the image at the size at which it was fitted.
        """
        size = image.shape[2:]
        image = limit_size(image, self.predict_pixels)
        response = self._respond(network, weights, image)
        if response.shape[2:] != image.shape[2:]:
            response = F.interpolate(response, image.shape[2:], mode='bilinear')
        labels = response.argmax(dim=1)
        if int(count_clusters(labels, response.shape[1])) < floor:
            # The floor holds at the size of the fit; a cluster may be too small to be seen here.
            labels = self._respond(network, weights, small).argmax(dim=1)
        if labels.shape[1:] != size:
            labels = F.interpolate(labels[None].float(), size, mode='nearest')[0].long()
        labels = labels[0].cpu().numpy()
        if self.min_region:
            min_pixels = math.ceil(self.min_region * labels.size)
            labels = merge_small_regions(labels, min_pixels, min_labels=floor)
        return torch.from_numpy(np.unique(labels, return_inverse=True)[1].reshape(labels.shape))


@functools.cache
def has_bf16(device_type: str) -> bool:
    """Say whether devices of a type compute in bfloat16 rather than emulate it."""
    if device_type == 'cpu':
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return device_type == 'cuda' and torch.cuda.is_bf16_supported(including_emulation=False)


def use_batch_statistics(network: nn.Module) -> nn.Module:
    """Copy a network so that batch normalisation always uses the statistics of its input."""
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.track_running_stats = False
            module.running_mean = module.running_var = module.num_batches_tracked = None
    return network


def respond(network: nn.Module, weights: dict[str, Tensor], images: Tensor) -> Tensor:
    """Compute each image's response map with its own weights, (N, q, h, w)."""

    def respond_to_one(own: dict[str, Tensor], image: Tensor) -> Tensor:
        return functional_call(network, own, (image[None],))[0]

    if images.is_cpu:  # whose grouped convolutions take twice as long as one network after another
        images = images.contiguous(memory_format=torch.channels_last)
        own = [{name: value[row] for name, value in weights.items()} for row in range(len(images))]
        return torch.stack([respond_to_one(*pair) for pair in zip(own, images, strict=True)])
    return vmap(respond_to_one)(weights, images)


def limit_size(images: Tensor, pixels: int | None) -> Tensor:
    """Shrink images, (N, C, H, W), that have more than so many pixels, by area averaging."""
    height, width = images.shape[2:]
    if pixels is None or height * width <= pixels:
        return images
    scale = math.sqrt(pixels / (height * width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    return F.interpolate(images, size, mode='area')


def spread(mask: Tensor, value: Tensor) -> Tensor:
    """Shape a mask over the first dimension, (N,), so that it broadcasts over a value, (N, ...)."""
    return mask.view(-1, *[1] * (value.ndim - 1))

"""Fitting a network to images without labels: the published way of using DynaSeg.

References:
    Guermazi, Ksantini, Khan: DynaSeg, Image and Vision Computing 2024, https://arxiv.org/abs/2405.05477
"""

import copy
import functools
import math
from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.modules.batchnorm import _BatchNorm

from dynaseg.fitting.cleanup import merge_small_regions
from dynaseg.models.losses.dynaseg_loss import DynaSegLoss, count_clusters
from dynaseg.prediction import LabelRefinement, enlarge, enlarge_labels, limit_size, resize_maps
from dynaseg.utils.checks import check_settings
from dynaseg.utils.memory import keep_freed_memory, release_freed_memory


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
    networks of a batch run together, on a GPU as one network of grouped convolutions.

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
        predict_scale: the fitted network sees the image enlarged by this factor. Where regions
            meet, convolutions give a strip labels of its own, which is so many times thinner then.
        predict_pixels: the most pixels that the fitted network sees at once, which bounds the
            memory; larger images are shrunk to it, and their labels enlarged. None for no bound.
        settled: an image's labels have settled when at most this share of its pixels changed
            since the last check; None never stops for that.
        check_interval: steps between checks for finished images, at which the host waits for the
            device.
        refinement: moves the borders of the labels to the edges of the image, at the size at which
            the fitted network predicts (at most the image's own); None leaves them as predicted.
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
        predict_scale: float = 1.0,
        predict_pixels: int | None = None,
        settled: float | None = None,
        check_interval: int = 10,
        refinement: LabelRefinement | None = None,
        min_region: float = 0.0,
        bf16: bool = False,
    ) -> None:
        self.loss = DynaSegLoss(reduction='none') if loss is None else loss
        self.iterations = iterations
        self.lr = lr
        self.momentum = momentum
        self.fit_pixels = fit_pixels
        self.predict_scale = predict_scale
        self.predict_pixels = predict_pixels
        self.settled = settled
        self.check_interval = check_interval
        self.refinement = refinement
        self.min_region = min_region
        self.bf16 = bf16
        check_settings(
            {
                'loss': (self.loss, self.loss.reduction == 'none', "of reduction 'none'"),
                'iterations': (iterations, iterations >= 0, 'at least 0'),
                'lr': (lr, lr > 0, 'positive'),
                'momentum': (momentum, 0 <= momentum < 1, 'in [0, 1)'),
                'fit_pixels': (
                    fit_pixels,
                    fit_pixels is None or fit_pixels > 0,
                    'positive or None',
                ),
                'predict_scale': (predict_scale, predict_scale >= 1, 'at least 1'),
                'predict_pixels': (
                    predict_pixels,
                    predict_pixels is None or predict_pixels > 0,
                    'positive or None',
                ),
                'settled': (settled, settled is None or 0 <= settled < 1, 'in [0, 1) or None'),
                'check_interval': (check_interval, check_interval >= 1, 'at least 1'),
                'min_region': (min_region, 0 <= min_region < 1, 'in [0, 1)'),
            }
        )

    def __call__(
        self, network: nn.Module, images: Tensor, floors: int | Sequence[int] = 1
    ) -> list[FitResult]:
        """Fit the network to each image of a batch, all at once.

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
        results = [None] * len(images)
        items = zip(range(len(images)), images, floors, strict=True)
        for row, result in self.stream(network, items, batch_size=len(images)):
            results[row] = result
        return results

    def stream(
        self,
        network: nn.Module,
        items: Iterable[tuple[Hashable, Tensor, int]],
        batch_size: int = 1,
    ) -> Iterator[tuple[Hashable, FitResult]]:
        """Fit the network to images of any sizes, several at a time.

        Images that are fitted at one size share a batch. One that is finished leaves it, and the
        next of that size takes its place. ``items`` is read only as far as batches need.

        Args:
            network: as for :meth:`__call__`.
            items: a key of your own, the normalised image, (3, H, W), and its floor.
            batch_size: most images that are fitted at once.

        Yields:
            Key and result of each image, in the order in which they are finished.

        Raises:
            ValueError: if ``batch_size`` is below 1.
        """
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, got {batch_size}')
        network = use_batch_statistics(network)
        waiting = Waiting(items, self.fit_pixels, limit=4 * batch_size)
        while (size := waiting.fullest()) is not None:
            if size == (1, 1):  # nothing to normalise over, and nothing to tell apart
                job = waiting.take(size)
                labels = torch.zeros(job.image.shape[2:], dtype=torch.int64)
                yield job.key, FitResult(labels, [1], stop_reason='floor')
                continue
            for job, weights in self._optimise(network, waiting, size, batch_size):
                with torch.no_grad():
                    job.result.labels = self._predict(network, weights, job)
                if job.image.is_cpu:
                    release_freed_memory()
                yield job.key, job.result

    def _optimise(
        self, network: nn.Module, waiting: 'Waiting', size: tuple[int, int], batch_size: int
    ) -> Iterator[tuple['Job', dict[str, Tensor]]]:
        """Run the iterations; yield each job of a size and its fitted weights, each (1, ...)."""
        parameters = {
            name: value.detach()
            for name, value in network.named_parameters()
            if value.requires_grad
        }
        batch, history = None, []
        while True:
            entering = []
            while (len(batch.jobs) if batch else 0) + len(entering) < batch_size:
                if (job := waiting.take(size)) is None:
                    break
                entering.append(Batch.start(job, parameters))
            if entering:
                batch = Batch.join([batch, *entering] if batch else entering)
            if batch is None:
                return
            loss, labels, counts = self._observe(network, batch)
            history.append((counts, loss.detach(), batch.going))
            done = {}
            ages = [job.age for job in batch.jobs]
            # The labels of an image are compared at its own checks, whenever it entered.
            due = [age > 0 and age % self.check_interval == 0 for age in ages]
            if any(due) or self.iterations in ages:
                done = self._check(batch, labels, due, history)
                history = []
            for row in done:
                weights = {name: value[row : row + 1] for name, value in batch.before.items()}
                yield batch.jobs[row], weights
            if len(done) == len(ages):
                batch = None
                continue
            self._update(batch, loss)
            for job in batch.jobs:
                job.age += 1
            if done:
                batch = batch.keep([row for row in range(len(ages)) if row not in done])

    def _observe(self, network: nn.Module, batch: 'Batch') -> tuple[Tensor, Tensor, Tensor]:
        """See where every image is.

        ``batch.before`` becomes the present weights, or, for good, those of the step before, where
        the present ones leave an image below its floor.

        Returns:
            Loss of each image, (N,), with its graph; its labels, (N, h, w); its number of clusters.
        """
        for value in batch.weights.values():
            value.requires_grad_()
        with torch.enable_grad():
            response = self._respond(network, batch.weights, batch.images)
            labels = response.detach().argmax(dim=1)
            parts = self.loss(response, labels)
            loss = parts['loss_sim'] + parts['loss_con']
        counts = count_clusters(labels, response.shape[1])
        if any(job.age == 0 for job in batch.jobs):
            # An image with fewer clusters from the start cannot get them back.
            new = torch.tensor([job.age == 0 for job in batch.jobs], device=counts.device)
            batch.floors = torch.where(new, torch.minimum(batch.floors, counts), batch.floors)
        if batch.checked is None:
            batch.checked = torch.full_like(labels, -1)
        fell = batch.going & (counts < batch.floors)
        batch.going = batch.going & ~fell
        batch.before = {
            name: torch.where(spread(fell, value), batch.before[name], value.detach())
            for name, value in batch.weights.items()
        }
        return loss, labels, counts

    def _update(self, batch: 'Batch', loss: Tensor) -> None:
        """Take a step of stochastic gradient descent in every image that goes on."""
        gradients = torch.autograd.grad(
            loss, tuple(batch.weights.values()), grad_outputs=torch.ones_like(loss)
        )
        for name, gradient in zip(batch.weights, gradients, strict=True):
            batch.speeds[name] = self.momentum * batch.speeds[name] + gradient
        batch.weights = {
            name: torch.where(
                spread(batch.going, value), value - self.lr * batch.speeds[name], value
            )
            for name, value in batch.before.items()
        }

    def _check(
        self,
        batch: 'Batch',
        labels: Tensor,
        due: list[bool],
        history: list[tuple[Tensor, Tensor, Tensor]],
    ) -> set[int]:
        """Write down what happened since the last check; return the rows that are finished."""
        settled = torch.zeros_like(batch.going)
        if self.settled is not None and any(due):
            compared = torch.tensor(due, device=labels.device)
            changed = (labels != batch.checked).flatten(1).float().mean(dim=1)
            settled = compared & (changed <= self.settled)
            batch.checked = torch.where(spread(compared, labels), labels, batch.checked)
        counts, losses, going = (
            torch.stack(values).tolist() for values in zip(*history, strict=True)
        )
        settled = settled.tolist()
        done = set()
        for row, job in enumerate(batch.jobs):
            result = job.result
            for count, loss, valid in zip(counts, losses, going, strict=True):
                if valid[row]:
                    result.num_clusters.append(count[row])
                    result.losses.append(loss[row])
            result.iterations = len(result.num_clusters) - 1
            if not going[-1][row]:
                result.stop_reason = 'floor'
            elif settled[row]:
                result.stop_reason = 'settled'
            elif job.age == self.iterations:
                result.stop_reason = 'iterations'
            else:
                continue
            done.add(row)
        return done

    def _respond(self, network: nn.Module, weights: dict[str, Tensor], images: Tensor) -> Tensor:
        """Compute each image's response map with its own weights, float32, (N, q, h, w)."""
        bf16 = self.bf16 and has_bf16(images.device.type)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
            return respond(network, weights, images).float()

    def _predict(self, network: nn.Module, weights: dict[str, Tensor], job: 'Job') -> Tensor:
        """Label a job's image with its fitted weights, (1, ...); return (H, W) on the CPU."""
        size = job.image.shape[2:]
        floor = min(job.result.floor, job.result.num_clusters[0])
        image = limit_size(job.image, self.predict_pixels)
        enlarged = enlarge(image, self.predict_scale, self.predict_pixels)
        response = self._respond(network, weights, enlarged)
        response = resize_maps(response, image.shape[2:])
        labels = response.argmax(dim=1)
        if int(count_clusters(labels, response.shape[1])) < floor:
            # The floor holds at the size of the fit; a cluster may be too small to be seen here.
            labels = self._respond(network, weights, job.small).argmax(dim=1)
            labels = enlarge_labels(labels, image.shape[2:])
        if self.refinement is not None:
            labels = self.refinement(labels, image, min_labels=floor)
        labels = enlarge_labels(labels, size)
        labels = labels[0].cpu().numpy()
        if self.min_region:
            min_pixels = math.ceil(self.min_region * labels.size)
            labels = merge_small_regions(labels, min_pixels, min_labels=floor)
        return torch.from_numpy(np.unique(labels, return_inverse=True)[1].reshape(labels.shape))


@dataclass
class Job:
    """An image that is being fitted.

    Attributes:
        key: the caller's name for it.
        image: normalised image, (1, 3, H, W).
        small: the image at the size at which it is fitted, (1, 3, h, w).
        result: what is known about it so far.
        age: steps taken.
    """

    key: Hashable
    image: Tensor
    small: Tensor
    result: FitResult
    age: int = 0


class Waiting:
    """Images that wait to be fitted, by the size at which they are fitted.

    Args:
        items: key, image, (3, H, W), and floor of each.
        fit_pixels: as for :class:`Fitter`.
        limit: most images that wait, so that no more of the items is read than is needed.
    """

    def __init__(
        self, items: Iterable[tuple[Hashable, Tensor, int]], fit_pixels: int | None, limit: int
    ) -> None:
        self.items = iter(items)
        self.fit_pixels = fit_pixels
        self.limit = limit
        self.queues = defaultdict(deque)

    def fullest(self) -> tuple[int, int] | None:
        """Find the size, (h, w), for which most images wait; None where there are no more."""
        if not any(self.queues.values()):
            self._read()
        if not any(self.queues.values()):
            return None
        return max(self.queues, key=lambda size: len(self.queues[size]))

    def take(self, size: tuple[int, int]) -> Job | None:
        """Take the next image of a size; None where none is within reach."""
        while not self.queues[size] and sum(map(len, self.queues.values())) < self.limit:
            if not self._read():
                break
        return self.queues[size].popleft() if self.queues[size] else None

    def _read(self) -> bool:
        """Read the next item; return whether there was one."""
        for key, image, floor in self.items:
            if image.is_cpu:
                keep_freed_memory()
            small = limit_size(image[None], self.fit_pixels)
            job = Job(key, image[None], small, FitResult(torch.empty(0), floor=floor))
            self.queues[tuple(small.shape[2:])].append(job)
            return True
        return False


@dataclass
class Batch:
    """The state of the networks that are fitted together; every tensor has a row an image.

    Attributes:
        jobs: the images that the rows are.
        images: the images at the size at which they are fitted, (N, 3, h, w).
        weights: the weights, each (N, ...).
        speeds: their momentum.
        before: the weights of the last step that left an image at or above its floor.
        floors: least numbers of clusters, (N,).
        going: which images have not fallen below their floor, (N,).
        checked: labels at each image's last check, (N, h, w), -1 before the first; None before
            the first step.
    """

    jobs: list[Job]
    images: Tensor
    weights: dict[str, Tensor]
    speeds: dict[str, Tensor]
    before: dict[str, Tensor]
    floors: Tensor
    going: Tensor
    checked: Tensor | None = None

    @classmethod
    def start(cls, job: Job, parameters: dict[str, Tensor]) -> 'Batch':
        """Make the state of one image before its first step."""
        weights = {name: value.clone()[None] for name, value in parameters.items()}
        speeds = {name: torch.zeros_like(value) for name, value in weights.items()}
        device = job.small.device
        floors = torch.tensor([job.result.floor], device=device)
        going = torch.ones(1, dtype=torch.bool, device=device)
        return cls([job], job.small, weights, speeds, weights, floors, going)

    @classmethod
    def join(cls, parts: list['Batch']) -> 'Batch':
        """Put batches of one size together."""
        checked = next((part.checked for part in parts if part.checked is not None), None)
        if checked is not None:
            none = torch.full_like(checked[:1], -1)
            checked = torch.cat([none if part.checked is None else part.checked for part in parts])
        joined = [
            {name: torch.cat([value[name].detach() for value in values]) for name in values[0]}
            for values in zip(
                *[(part.weights, part.speeds, part.before) for part in parts], strict=True
            )
        ]
        images, floors, going = (
            torch.cat(values)
            for values in zip(
                *[(part.images, part.floors, part.going) for part in parts], strict=True
            )
        )
        jobs = [job for part in parts for job in part.jobs]
        return cls(jobs, images, *joined, floors, going, checked)

    def keep(self, rows: list[int]) -> 'Batch':
        """Make a batch of some of the rows."""
        kept = [
            {name: value.detach()[rows] for name, value in values.items()}
            for values in (self.weights, self.speeds, self.before)
        ]
        jobs = [self.jobs[row] for row in rows]
        floors, going, checked = self.floors[rows], self.going[rows], self.checked[rows]
        return Batch(jobs, self.images[rows], *kept, floors, going, checked)


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


def spread(mask: Tensor, value: Tensor) -> Tensor:
    """Shape a mask over the first dimension, (N,), so that it broadcasts over a value, (N, ...)."""
    return mask.view(-1, *[1] * (value.ndim - 1))

"""The images of a training: their order and their augmentations are functions of the seed.

The stock loader draws both from generators whose state is spread over several processes. Here every
image of an epoch has its own seed, so that a training that is resumed, or shared among several
processes, sees the same data.
"""

import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import mmseg.datasets.builder
import numpy as np
import torch
import torch.distributed as dist
from mmcv.parallel import DataContainer, collate
from mmcv.runner import get_dist_info
from mmseg.core.utils import sync_random_seed
from mmseg.datasets import RepeatDataset
from mmseg.utils import get_device
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Sampler

from dynaseg.io.files import name_some
from dynaseg.io.reading import ImageReadError
from dynaseg.mmseg.errors import UserError

_build_dataloader = mmseg.datasets.builder.build_dataloader
ON_BAD_IMAGE = ('raise', 'skip')


@contextmanager
def seeded(*key: int) -> Iterator[None]:
    """Draw the random numbers of Python, NumPy and PyTorch (on the CPU) from a seed.

    Args:
        key: integers of at least 0, which together are the seed.

    Afterwards the generators are restored.

    Examples:
        >>> with seeded(0, 7):
        ...     first = np.random.rand()
        >>> with seeded(0, 7):
        ...     first == np.random.rand()
        True
    """
    states = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    seeds = np.random.SeedSequence(key).generate_state(3).tolist()
    random.seed(seeds[0])
    np.random.seed(seeds[1])
    torch.random.default_generator.manual_seed(seeds[2])
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.random.set_rng_state(states[2])


class Draw(NamedTuple):
    """An image that a sampler drew: its index, and the seed of its augmentations."""

    index: int
    seed: tuple[int, ...]


class TrainingSampler(Sampler[Draw]):
    """Draws the images of an epoch in an order that is a function of the seed and the epoch.

    All processes together see the same batches as a single one: each takes its part of every batch.

    Args:
        size: number of images.
        batch_size: images per batch in each process.
        seed: the seed, the same in all processes.
        rank: number of this process.
        num_processes: number of processes.
        drop_last: whether an incomplete last batch is left out of the epoch.

    Attributes:
        epoch: the next epoch.
        start: the first of its batches to be drawn; 0 for later epochs.

    Examples:
        >>> sampler = TrainingSampler(size=6, batch_size=2, seed=0)
        >>> epoch = [draw.index for draw in sampler]
        >>> sampler.go_to(1)
        >>> [draw.index for draw in sampler] == epoch[2:]
        True
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        num_processes: int = 1,
        drop_last: bool = True,
    ) -> None:
        self.size = size
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.num_processes = num_processes
        self.drop_last = drop_last
        self.epoch = self.start = 0

    @property
    def num_batches(self) -> int:
        """Batches per epoch."""
        together = self.batch_size * self.num_processes
        return self.size // together if self.drop_last else -(-self.size // together)

    def go_to(self, batch: int, seed: int | None = None) -> None:
        """Continue at a batch, counted from the start of the training, maybe with another seed."""
        self.epoch, self.start = divmod(batch, self.num_batches)
        self.seed = self.seed if seed is None else seed

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of an epoch, as MMCV's loops ask of every sampler."""
        self.epoch, self.start = epoch, 0

    def __len__(self) -> int:
        together = self.batch_size * self.num_processes
        if self.drop_last:
            return self.num_batches * self.batch_size
        whole, rest = divmod(self.size, together)
        return whole * self.batch_size + -(-rest // self.num_processes)

    def __iter__(self) -> Iterator[Draw]:
        epoch, start, seed = self.epoch, self.start, self.seed
        order = np.random.default_rng((seed, epoch)).permutation(self.size).tolist()
        together = self.batch_size * self.num_processes
        for batch in range(start, self.num_batches):
            images = order[batch * together : (batch + 1) * together]
            each = -(-len(images) // self.num_processes)
            while len(images) < each * self.num_processes:  # the same number in every process
                images += order[: each * self.num_processes - len(images)]
            for index in images[self.rank * each : (self.rank + 1) * each]:
                yield Draw(index, (seed, epoch, index))
        self.set_epoch(epoch + 1)


@dataclass(frozen=True)
class Refusal:
    """Why a batch cannot be trained on.

    Workers return it as a batch: their exceptions would come with the tracebacks of two processes.
    """

    reason: str


class DrawnImages(Dataset):
    """A data set whose images are drawn by a :class:`TrainingSampler`.

    Args:
        dataset: the data set.
        skip_bad: whether an image that cannot be read is replaced by the next one.

    Attributes:
        bad: which images could not be read, by index, shared with the workers.
    """

    def __init__(self, dataset: Dataset, skip_bad: bool = False) -> None:
        self.dataset = dataset
        self.skip_bad = skip_bad
        self.bad = torch.zeros(len(dataset), dtype=torch.bool).share_memory_()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, draw: Draw) -> object:
        """Get an image as the pipeline gives it, or a :class:`Refusal`."""
        refusal = None
        for offset in range(len(self) if self.skip_bad else 1):
            index = (draw.index + offset) % len(self)
            try:
                with seeded(*draw.seed):
                    return self.dataset[index]
            except ImageReadError as error:
                self.bad[index] = True
                refusal = refusal or Refusal(str(error))
        return refusal

    def describe_skipped(self) -> str | None:
        """Say how many images were skipped in all processes, and which; None if none was."""
        bad = self.bad.to(get_device(), torch.uint8)
        if get_dist_info()[1] > 1:
            dist.all_reduce(bad, dist.ReduceOp.MAX)
        indices = bad.nonzero().flatten().tolist()
        if not indices:
            return None
        images = dict(_find_image(self.dataset, index) for index in indices)
        number = sum(map(len, list_parts(self.dataset)))
        found = f'{len(images)} of {number} images could not be read'
        return f'{found}: {name_some(list(images.values()))}'


def list_parts(dataset: Dataset) -> list[Dataset]:
    """List the data sets that others repeat and join, each once, in order."""
    if isinstance(dataset, ConcatDataset):
        return [part for one in dataset.datasets for part in list_parts(one)]
    return list_parts(dataset.dataset) if isinstance(dataset, RepeatDataset) else [dataset]


def _find_image(dataset: Dataset, index: int) -> tuple[tuple[int, int], str]:
    """Find an image of a data set, which may repeat or join others: its place, and its file."""
    if isinstance(dataset, RepeatDataset):
        return _find_image(dataset.dataset, index % len(dataset.dataset))
    if isinstance(dataset, ConcatDataset):
        part = bisect_right(dataset.cumulative_sizes, index)
        first = dataset.cumulative_sizes[part - 1] if part else 0
        return _find_image(dataset.datasets[part], index - first)
    infos = getattr(dataset, 'img_infos', None)
    return (id(dataset), index), infos[index]['filename'] if infos else str(index)


class TrainingDataLoader(DataLoader):
    """PyTorch's ``DataLoader`` that raises an error when a worker returns a :class:`Refusal`."""

    def __iter__(self) -> Iterator:
        for batch in super().__iter__():
            if isinstance(batch, Refusal):
                raise UserError(batch.reason)
            yield batch


def collate_images(samples: Sequence, samples_per_gpu: int) -> object:
    """Make a batch as MMCV's ``collate`` does, or a :class:`Refusal` if the sizes differ."""
    shapes = {}
    for sample in samples:
        if isinstance(sample, Refusal):
            return sample
        img = sample.get('img') if isinstance(sample, dict) else None
        img = img.data if isinstance(img, DataContainer) else img
        if isinstance(img, torch.Tensor):
            shapes.setdefault(tuple(img.shape[-2:]), name_sample(sample))
    if len(shapes) > 1:
        sizes = ', '.join(f'{name} is {w} x {h}' for (h, w), name in shapes.items())
        return Refusal(
            f'images of a batch differ in size: {sizes}; crop and pad them to one size in '
            'data.train.pipeline (RandomCrop and Pad), or train with data.samples_per_gpu=1'
        )
    return collate(samples, samples_per_gpu=samples_per_gpu)


def name_sample(sample: dict) -> str:
    """Name the image of a sample by its file, if the pipeline gives it."""
    metas = sample.get('img_metas')
    metas = metas.data if isinstance(metas, DataContainer) else metas
    return (metas or {}).get('filename') or 'an image'


def build_dataloader(
    dataset: Dataset,
    samples_per_gpu: int,
    workers_per_gpu: int,
    num_gpus: int = 1,
    dist: bool = True,
    shuffle: bool = True,
    seed: int | None = None,
    drop_last: bool = False,
    persistent_workers: bool = True,
    on_bad_image: str = 'raise',
    **kwargs,
) -> DataLoader:
    """Build a loader as MMSegmentation's ``build_dataloader`` does, with the same arguments.

    Loaders that shuffle use a :class:`TrainingSampler`. ``persistent_workers`` needs workers.

    Args:
        dataset: the data set.
        samples_per_gpu: images per batch in each process.
        workers_per_gpu: workers that load images for each process; 0 loads in the process itself.
        num_gpus: not used with ``dist``.
        dist: whether each process has its own loader.
        shuffle: whether it is for training.
        seed: the seed of the order and of the augmentations.
        drop_last: whether an incomplete last batch of a training is left out.
        persistent_workers: whether workers outlive an epoch.
        on_bad_image: ``'raise'``, or ``'skip'`` to replace an image that cannot be read by the next
            one; for training only, since it would change the figures of a test.
        **kwargs: further arguments of PyTorch's ``DataLoader``.

    Returns:
        The loader.

    Raises:
        UserError: if ``on_bad_image`` is unknown or is ``'skip'`` for a test, or there are fewer
            images than a batch takes.
    """
    if on_bad_image not in ON_BAD_IMAGE:
        raise UserError(f'on_bad_image must be one of {ON_BAD_IMAGE}, got {on_bad_image!r}')
    persistent_workers = persistent_workers and workers_per_gpu > 0
    if not shuffle:
        if on_bad_image != 'raise':
            raise UserError(
                f'on_bad_image={on_bad_image!r} is for training only: set it in '
                'data.train_dataloader'
            )
        return _build_dataloader(
            dataset,
            samples_per_gpu,
            workers_per_gpu,
            num_gpus,
            dist,
            shuffle,
            seed,
            drop_last=False,  # MMSegmentation hands on training's: images would go unevaluated
            persistent_workers=persistent_workers,
            **kwargs,
        )
    rank, num_processes = get_dist_info() if dist else (0, 1)
    batch_size = samples_per_gpu if dist else samples_per_gpu * num_gpus
    seed = sync_random_seed(seed, get_device())
    sampler = TrainingSampler(len(dataset), batch_size, seed, rank, num_processes, drop_last)
    if sampler.num_batches == 0:
        raise UserError(
            f'data.train has {len(dataset)} images, but a batch takes {batch_size * num_processes} '
            f'(data.samples_per_gpu={samples_per_gpu}): lower it, or set '
            'data.train_dataloader.drop_last=False'
        )
    return TrainingDataLoader(
        DrawnImages(dataset, skip_bad=on_bad_image == 'skip'),
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers_per_gpu if dist else workers_per_gpu * num_gpus,
        collate_fn=partial(collate_images, samples_per_gpu=samples_per_gpu),
        drop_last=drop_last,
        persistent_workers=persistent_workers,
        **{'pin_memory': True, **kwargs},
    )

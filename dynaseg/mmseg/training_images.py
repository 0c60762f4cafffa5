from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from mmcv.parallel import DataContainer
from mmcv.runner import IterBasedRunner, get_dist_info
from torch import Tensor, nn

from dynaseg.io.files import take_evenly
from dynaseg.mmseg.errors import UserError
from dynaseg.mmseg.training_data import Draw, DrawnImages, Refusal


def training_images(runner: IterBasedRunner, num_images: int, seed: int) -> Iterator[Tensor]:
    """Yield evenly spaced training images one by one, as the pipeline gives them.

    Args:
        runner: the runner of the training.
        num_images: the maximum number of images.
        seed: the seed of their augmentations.

    Yields:
        Pixels, (1, 3, H, W), on the model's device.

    Raises:
        UserError: if an image cannot be read.
    """
    dataset = runner.data_loader._dataloader.dataset
    if not isinstance(dataset, DrawnImages):
        dataset = DrawnImages(dataset)
    device = next(runner.model.parameters()).device
    for index in take_evenly(range(len(dataset)), num_images):
        sample = dataset[Draw(index, (seed, index))]
        if isinstance(sample, Refusal):
            raise UserError(sample.reason)
        img = sample['img']
        yield (img.data if isinstance(img, DataContainer) else img)[None].to(device)


def training_seed(runner: IterBasedRunner) -> int:
    """Get the seed of a training, 0 if it has none."""
    return (runner.meta or {}).get('seed') or 0


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, without gradients, within the block."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def share_state(module: nn.Module) -> None:
    """Copy a module's weights from the first process of a distributed training to the others."""
    if get_dist_info()[1] > 1:
        for value in module.state_dict().values():
            dist.broadcast(value, src=0)

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from mmcv.parallel import DataContainer
from mmcv.runner import IterBasedRunner, get_dist_info
from torch import Tensor, nn

from dynaseg.io.files import take_evenly


def training_images(runner: IterBasedRunner, num_images: int) -> Iterator[Tensor]:
    """Give training images as the pipeline gives them, one by one, evenly spaced.

    Args:
        runner: of the training.
        num_images: at most so many.

    Yields:
        Pixels, (1, 3, H, W), on the model's device.
    """
    dataset = runner.data_loader._dataloader.dataset
    device = next(runner.model.parameters()).device
    for index in take_evenly(range(len(dataset)), num_images):
        img = dataset[index]['img']
        yield (img.data if isinstance(img, DataContainer) else img)[None].to(device)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, without gradients, for the length of the block."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def share_state(module: nn.Module) -> None:
    """Give every process of a distributed training the first one's weights of a module."""
    if get_dist_info()[1] > 1:
        for value in module.state_dict().values():
            dist.broadcast(value, src=0)

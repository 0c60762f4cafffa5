"""A training by several processes, which import this module."""

import os

import torch
import torch.distributed as dist
from torch import nn

from dynaseg.core.losses import DynaSegLoss
from dynaseg.mmseg import batch_norm  # whose package repairs SyncBatchNorm

PROCESSES = 2


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 1), nn.BatchNorm2d(4)
    ).double()  # or a label that changes by rounding makes all later steps others


def images():
    return 5 * torch.rand(
        4, 3, 9, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )


def train(model, batch, processes=1):
    """Take ten steps; the gradients of several processes are averaged, as DDP does."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    criterion = DynaSegLoss('fsf', entropy_weight=2.0)
    for _ in range(10):
        parts = criterion(model(batch))
        loss = sum(value for name, value in parts.items() if name.startswith('loss'))
        optimizer.zero_grad()
        loss.backward()
        if processes > 1:
            for weight in model.parameters():
                dist.all_reduce(weight.grad)
                weight.grad /= processes
        optimizer.step()
    return model.state_dict()


def train_a_part(rank, port, folder):
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    dist.init_process_group('gloo', rank=rank, world_size=PROCESSES)
    model = batch_norm.synchronise(network())
    weights = train(model, images().chunk(PROCESSES)[rank], PROCESSES)
    torch.save(weights, folder / f'{rank}.pth')
    dist.destroy_process_group()

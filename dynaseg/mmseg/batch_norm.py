"""Batch normalisation over the images of all processes, so that their number does not matter."""

import torch
from torch import Tensor, nn

from dynaseg.core.distributed import sum_over_processes

# Others, such as timm's, do more than normalise.
PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

_forward_on_gpu = nn.SyncBatchNorm.forward


def synchronise(model: nn.Module) -> nn.Module:
    """Make the batch normalisation layers of a network use the batches of all processes.

    Args:
        model: the network, changed in place.

    Returns:
        The same network.
    """
    for module in model.modules():
        for name, child in module.named_children():
            if type(child) in PLAIN:
                setattr(module, name, nn.SyncBatchNorm.convert_sync_batchnorm(child))
    return model


def forward(norm: nn.SyncBatchNorm, img: Tensor) -> Tensor:
    """Normalise as PyTorch's ``SyncBatchNorm`` does, also on a CPU, where it refuses to train.

    Args:
        norm: the layer.
        img: (N, C, ...).

    Returns:
        The normalised features, of the same shape.
    """
    if img.device.type != 'cpu' or not norm.training:
        return _forward_on_gpu(norm, img)
    kind = img.dtype
    img = img.to(torch.promote_types(kind, torch.float32))  # bfloat16 sums would be too coarse
    dims = [0, *range(2, img.ndim)]
    shape = [1, -1] + [1] * (img.ndim - 2)
    count = img.new_tensor([img.numel() / img.shape[1]])
    sums = sum_over_processes(torch.cat([img.sum(dim=dims), count]))
    total = sums[-1].detach()
    if total < 2:
        raise ValueError(f'Expected more than 1 value per channel, got {tuple(img.shape)}')
    mean = sums[:-1] / total
    centred = img - mean.view(shape)
    variance = sum_over_processes(centred.square().sum(dim=dims)) / total
    if norm.track_running_stats:
        with torch.no_grad():
            norm.num_batches_tracked += 1
            share = norm.momentum
            if share is None:
                share = 1 / norm.num_batches_tracked.item()
            norm.running_mean.lerp_(mean, share)
            norm.running_var.lerp_(variance * total / (total - 1), share)
    normalised = centred * (variance + norm.eps).rsqrt().view(shape)
    if norm.affine:
        normalised = normalised * norm.weight.view(shape) + norm.bias.view(shape)
    return normalised.to(kind)

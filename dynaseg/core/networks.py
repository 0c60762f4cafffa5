"""The networks that are fitted to images, in plain PyTorch, and running many at once."""

import copy
import functools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.modules.batchnorm import _BatchNorm

Weights = dict[str, Tensor]


class PlainCNN(nn.Module):
    """The convolutional feature extractor of Kim et al. (IEEE TIP 2020) and DynaSeg.

    ``num_blocks`` blocks of 3x3 convolution, ReLU and batch normalisation at the image's own
    resolution: no pooling and no strides.

    Args:
        in_channels: channels of the image.
        channels: channels of the features (p in the paper).
        num_blocks: number of blocks (M in the paper).
        out_indices: the blocks whose features are returned; the last one by default.

    Raises:
        ValueError: if an entry of ``out_indices`` is not a block.

    Examples:
        >>> import torch
        >>> features, = PlainCNN(channels=16, num_blocks=2)(torch.rand(1, 3, 20, 30))
        >>> features.shape
        torch.Size([1, 16, 20, 30])
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: int = 100,
        num_blocks: int = 2,
        out_indices: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.out_indices = tuple(out_indices) if out_indices is not None else (num_blocks - 1,)
        if not all(0 <= index < num_blocks for index in self.out_indices):
            raise ValueError(
                f'out_indices must lie in [0, {num_blocks}) (num_blocks={num_blocks}), '
                f'got {self.out_indices}'
            )
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(in_channels if block == 0 else channels, channels, 3, padding=1),
                nn.ReLU(inplace=True),
                nn.BatchNorm2d(channels),
            )
            for block in range(num_blocks)
        )

    def forward(self, img: Tensor) -> tuple[Tensor, ...]:
        """Extract features.

        Args:
            img: normalised images, (N, in_channels, H, W).

        Returns:
            The features of the blocks in ``out_indices``, each (N, channels, H, W).
        """
        features = []
        for index, block in enumerate(self.blocks):
            img = block(img)
            if index in self.out_indices:
                features.append(img)
        return tuple(features)


class ResponseNetwork(nn.Module):
    """The network of the papers: a plain CNN, a 1x1 convolution and batch normalisation.

    Args:
        in_channels: channels of the image.
        channels: channels of the features and of the response map (p = q in the paper).
        num_blocks: number of blocks of the CNN (M in the paper).

    Examples:
        >>> import torch
        >>> ResponseNetwork(channels=8)(torch.rand(1, 3, 20, 30)).shape
        torch.Size([1, 8, 20, 30])
    """

    def __init__(self, in_channels: int = 3, channels: int = 100, num_blocks: int = 2) -> None:
        super().__init__()
        self.backbone = PlainCNN(in_channels, channels, num_blocks)
        self.conv = nn.Conv2d(channels, channels, 1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, img: Tensor) -> Tensor:
        """Compute the normalised response maps, (N, q, H, W), of images, (N, in_channels, H, W)."""
        return self.norm(self.conv(self.backbone(img)[-1]))


def use_batch_statistics(network: nn.Module) -> nn.Module:
    """Copy a network so that batch normalisation always uses the statistics of its input."""
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.track_running_stats = False
            module.running_mean = module.running_var = module.num_batches_tracked = None
    return network


def respond_each(
    network: nn.Module, weights: Weights, images: Tensor, bf16: bool = False
) -> Tensor:
    """Compute each image's response map with its own weights.

    Args:
        network: maps images to response maps.
        weights: by parameter name, each (N, ...); those left out are the network's.
        images: normalised images, (N, C, H, W).
        bf16: compute in bfloat16 where the processor supports it.

    Returns:
        The response maps, float32, (N, q, h, w).
    """

    def respond(own: Weights, image: Tensor) -> Tensor:
        return functional_call(network, own, (image[None],))[0]

    device = images.device.type
    with torch.autocast(device, torch.bfloat16, enabled=bf16 and has_bf16(device)):
        if not images.is_cpu:
            return vmap(respond)(weights, images).float()
        # A CPU takes twice as long for grouped convolutions as for one network after another.
        images = images.contiguous(memory_format=torch.channels_last)
        own = [{name: value[row] for name, value in weights.items()} for row in range(len(images))]
        return torch.stack([respond(*pair) for pair in zip(own, images, strict=True)]).float()


@functools.cache
def has_bf16(device_type: str) -> bool:
    """Say whether devices of a type compute in bfloat16 rather than emulate it."""
    if device_type == 'cpu':
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return device_type == 'cuda' and torch.cuda.is_bf16_supported(including_emulation=False)

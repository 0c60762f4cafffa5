from collections.abc import Mapping, Sequence

import timm
import torch
from mmcv.runner import BaseModule, CheckpointLoader
from mmseg.models.builder import BACKBONES
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn

from dynaseg.io.files import name_some
from dynaseg.mmseg.checks.weights import take_part


@BACKBONES.register_module()
class TimmFeatures(BaseModule):
    """Feature levels of a timm network, with weights from a file that the user supplies.

    Images come normalised with ImageNet's mean and standard deviation, as for MMSegmentation's own
    backbones; if the network was trained with others, images are renormalised with those. Layers
    after the last level are left out.

    Args:
        name: the network's name in timm, such as ``'vit_small_patch16_224.dino'``.
        out_indices: the levels that are returned: stages of a convolutional network, blocks of a
            transformer.
        frozen: whether weights and running statistics stay fixed in training.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` loads weights under timm's names, such
            as DINO's, which may begin with its ``prefix``; anything else in a checkpoint, such as a
            head, is ignored.
        **options: arguments of the network, such as ``dynamic_img_size=True``, with which a
            transformer takes images of any size.

    Raises:
        ValueError: if timm has no such network or no such levels.

    Examples:
        >>> backbone = TimmFeatures('resnet18', out_indices=(2, 4))
        >>> [tuple(level.shape) for level in backbone(torch.rand(1, 3, 64, 96))]
        [(1, 128, 8, 12), (1, 512, 2, 3)]
    """

    def __init__(
        self,
        name: str,
        out_indices: Sequence[int],
        frozen: bool = True,
        init_cfg: dict | None = None,
        **options,
    ) -> None:
        super().__init__(init_cfg)
        if not timm.is_model(name.partition('.')[0]):
            raise ValueError(f'timm has no network {name!r}')
        self.name = name
        self.network = timm.create_model(name, **options)
        try:
            self.indices = self.network.prune_intermediate_layers(list(out_indices))
        except (AssertionError, ValueError) as error:
            raise ValueError(f'{name} has no levels {tuple(out_indices)}: {error}') from error
        trained = self.network.pretrained_cfg
        mean, std, own_mean, own_std = (
            torch.tensor(value).view(3, 1, 1)
            for value in (
                IMAGENET_DEFAULT_MEAN,
                IMAGENET_DEFAULT_STD,
                trained['mean'],
                trained['std'],
            )
        )
        self.register_buffer('scale', std / own_std)
        self.register_buffer('shift', (mean - own_mean) / own_std)
        self.frozen = frozen
        if frozen:
            self.network.requires_grad_(False).eval()

    @property
    def pretrained_part(self) -> nn.Module:
        """The network whose names the weights of ``init_cfg`` have."""
        return self.network

    def init_weights(self) -> None:
        """Load the weights of ``init_cfg``, if there is one.

        Raises:
            ValueError: if the checkpoint lacks weights of the network, or has them in other shapes.
        """
        if self.init_cfg is None or self.init_cfg['type'] != 'Pretrained':
            super().init_weights()
            return
        path = self.init_cfg['checkpoint']
        checkpoint = CheckpointLoader.load_checkpoint(path, map_location='cpu')
        self.load_weights(checkpoint, path, self.init_cfg.get('prefix'))

    def load_weights(
        self, checkpoint: Mapping[str, Tensor], source: str, prefix: str | None = None
    ) -> None:
        """Load weights under timm's names.

        Args:
            checkpoint: the weights by name, or a dict that holds them as ``state_dict`` or
                ``model``.
            source: its name in errors.
            prefix: the names begin with it; others are ignored.

        Raises:
            ValueError: if weights of the network are missing, or have other shapes.
        """
        for key in ('state_dict', 'model'):
            if isinstance(checkpoint.get(key), Mapping):
                checkpoint = checkpoint[key]
        checkpoint = {name.removeprefix('module.'): one for name, one in checkpoint.items()}
        if prefix:
            checkpoint = take_part(checkpoint, prefix)
        unfit = [
            name
            for name, value in self.network.state_dict().items()
            if getattr(checkpoint.get(name), 'shape', None) != value.shape
        ]
        if unfit:
            raise ValueError(
                f"{source} is not for timm's {self.name}: it lacks {len(unfit)} of its weights, or "
                f'has them in other shapes: {name_some(unfit)}'
            )
        self.network.load_state_dict(checkpoint, strict=False)

    def train(self, mode: bool = True) -> 'TimmFeatures':
        """Set the mode; a frozen network keeps its running statistics."""
        super().train(mode)
        if self.frozen:
            self.network.eval()
        return self

    def forward(self, img: Tensor) -> list[Tensor]:
        """Compute the levels of images, (N, 3, H, W)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self.network.forward_intermediates(
                img * self.scale + self.shift,
                indices=self.indices,
                norm=True,
                intermediates_only=True,
            )

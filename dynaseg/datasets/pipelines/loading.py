import os

import cv2
import mmcv
import numpy as np
from mmseg.datasets.builder import PIPELINES
from mmseg.datasets.pipelines import LoadImageFromFile


@PIPELINES.register_module()
class LoadImage(LoadImageFromFile):
    """``LoadImageFromFile`` whose error for an unreadable picture names the file."""

    def __call__(self, results: dict) -> dict:
        """Load an image; see ``LoadImageFromFile``.

        Args:
            results: ``img_prefix``, the images' folder or None, and ``img_info['filename']``.

        Returns:
            The same results with the image.

        Raises:
            ValueError: if the file is not an image that can be read.
        """
        try:
            return super().__call__(results)
        except (AttributeError, cv2.error) as error:  # MMCV decodes a damaged file as None
            path = os.path.join(results.get('img_prefix') or '', results['img_info']['filename'])
            raise ValueError(f'{path} cannot be read as an image') from error


def read_mask(path: str) -> np.ndarray:
    """Read a mask of one 8-bit channel.

    Args:
        path: the file, a PNG as a rule.

    Returns:
        The pixels' values, uint8, (H, W).

    Raises:
        ValueError: if the file cannot be read, or is no such mask.
    """
    try:
        values = mmcv.imread(path, flag='unchanged', backend='pillow')
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError) as error:  # Pillow's for damaged files
        raise ValueError(f'{path} cannot be read as a mask: {error}') from error
    if values.ndim != 2 or values.dtype != np.uint8:
        raise ValueError(f'{path} is not a mask of one 8-bit channel')
    return values

import os

import mmcv
import numpy as np
from mmseg.datasets.builder import PIPELINES
from PIL import Image

from dynaseg.io.reading import read_image

NOT_NORMALISED = {'mean': np.zeros(3), 'std': np.ones(3), 'to_rgb': False}  # as mmseg writes it


@PIPELINES.register_module()
class LoadImage:
    """Loads an image as ``dynaseg segment`` does; see :func:`dynaseg.io.reading.read_image`.

    It replaces MMSegmentation's ``LoadImageFromFile``, so that training, tests and the segmentation
    of photographs see the same pixels of the same files.
    """

    def __call__(self, results: dict) -> dict:
        """Load an image.

        Args:
            results: ``img_prefix``, the images' folder or None, and ``img_info['filename']``.

        Returns:
            The same results with the image, ``img``, BGR, uint8, (H, W, 3), and its shapes.

        Raises:
            ImageReadError: if the file is not an image that can be read; a ValueError.
        """
        name = results['img_info']['filename']
        path = os.path.join(results.get('img_prefix') or '', name)
        img = np.ascontiguousarray(read_image(path)[..., ::-1])
        return results | {
            'filename': path,
            'ori_filename': name,
            'img': img,
            'img_shape': img.shape,
            'ori_shape': img.shape,
            'pad_shape': img.shape,
            'scale_factor': 1.0,
            'img_norm_cfg': NOT_NORMALISED,
        }

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


@PIPELINES.register_module()
class LoadNoAnnotations:
    """Gives an image a mask that is ignored everywhere, to mix unlabelled with labelled images.

    It replaces ``LoadAnnotations``, in a data set of any kind.

    Args:
        ignore_index: the ignored value, the same as the decode head's ``ignore_index``.

    Raises:
        ValueError: if it does not fit 8 bits.
    """

    def __init__(self, ignore_index: int = 255) -> None:
        if not 0 <= ignore_index <= 255:
            raise ValueError(f'ignore_index must be from 0 to 255, got {ignore_index}')
        self.ignore_index = ignore_index

    def __call__(self, results: dict) -> dict:
        """Add ``gt_semantic_seg``, uint8, (H, W), to the results of the pipeline.

        Args:
            results: the image, ``img``, (H, W, 3).

        Returns:
            The same results with the mask.
        """
        mask = np.full(results['img'].shape[:2], self.ignore_index, np.uint8)
        fields = [*results.get('seg_fields', ()), 'gt_semantic_seg']
        return results | {'gt_semantic_seg': mask, 'seg_fields': fields}

    def __repr__(self) -> str:
        return f'{type(self).__name__}(ignore_index={self.ignore_index})'


def read_mask(path: str) -> np.ndarray:
    """Read a mask of one 8-bit channel.

    Args:
        path: the file, usually a PNG.

    Returns:
        The pixels' values, uint8, (H, W).

    Raises:
        ValueError: if the file cannot be read, or is not such a mask.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f'{path} is not a file')  # reading a pipe would wait forever
    try:
        values = mmcv.imread(path, flag='unchanged', backend='pillow')
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow's
        raise ValueError(f'{path} cannot be read as a mask: {error}') from error
    if values.ndim != 2 or values.dtype != np.uint8:
        raise ValueError(f'{path} is not a mask of one 8-bit channel')
    return values

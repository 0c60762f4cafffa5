import mmcv
import numpy as np
from mmseg.datasets.builder import PIPELINES


def add_crop(pipeline: list[dict], size: int | None) -> list[dict]:
    """Add an :class:`EvaluationCrop` after what a pipeline loads, or nothing if size is None."""
    if size is None:
        return pipeline
    loaded = 1
    while loaded < len(pipeline) and pipeline[loaded]['type'].startswith('Load'):
        loaded += 1
    crop = {'type': 'EvaluationCrop', 'size': size}
    return [*pipeline[:loaded], crop, *pipeline[loaded:]]


@PIPELINES.register_module()
class EvaluationCrop:
    """Scales an image's shorter side to a size and crops the square in its middle.

    PiCIE, DenseSiam and STEGO report figures on such crops of 320 pixels. A data set with
    :class:`dynaseg.mmseg.datasets.ClusterEvaluationMixin` crops its ground truth in the same way if
    its pipeline has this transform. It belongs before ``MultiScaleFlipAug``.

    Args:
        size: side of the square in pixels.

    Raises:
        ValueError: if the size is not a positive integer.

    Examples:
        >>> crop = EvaluationCrop(2)
        >>> crop.crop(np.arange(8, dtype=np.uint8).reshape(2, 4), 'nearest').tolist()
        [[1, 2], [5, 6]]
    """

    def __init__(self, size: int = 320) -> None:
        if not isinstance(size, int) or size < 1:
            raise ValueError(f'size must be a positive integer, got {size!r}')
        self.size = size

    def __call__(self, results: dict) -> dict:
        """Crop the image of a pipeline, which counts as the original one from then on.

        Args:
            results: ``img``, (H, W, 3), and the masks that ``seg_fields`` names, (H, W).

        Returns:
            The same results with the crop and its shapes.
        """
        img = self.crop(results['img'], 'bilinear')
        results.update(img=img, img_shape=img.shape, ori_shape=img.shape, pad_shape=img.shape)
        for key in results.get('seg_fields', ()):
            results[key] = self.crop(results[key], 'nearest')
        return results

    def crop(self, img: np.ndarray, interpolation: str) -> np.ndarray:
        """Scale and crop an image or a label map.

        Args:
            img: values from 0 to 255, (H, W) or (H, W, 3).
            interpolation: MMCV's name for it: ``'nearest'`` for labels.

        Returns:
            The crop, uint8, (size, size) or (size, size, 3).
        """
        height, width = img.shape[:2]
        short = min(height, width)
        height, width = (self.size * side // short for side in (height, width))
        # Pillow and this rounding, as in PiCIE: OpenCV's nearest pixel is half a pixel off.
        img = mmcv.imresize(
            img.astype(np.uint8), (width, height), interpolation=interpolation, backend='pillow'
        )
        top, left = (round((side - self.size) / 2) for side in (height, width))
        return img[top : top + self.size, left : left + self.size]

    def __repr__(self) -> str:
        return f'{type(self).__name__}(size={self.size})'

import numpy as np
from mmseg.datasets.builder import PIPELINES

PLACES = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5))


@PIPELINES.register_module()
class RandomFiveCrop:
    """Takes one of five crops of an image, a corner or the middle, with equal probability.

    STEGO (Hamilton et al., ICLR 2022) trains on files of all five, of half the image's height and
    width; one epoch of those equals five with this.

    Args:
        ratio: height and width of the crop, as a share of the image's.

    Raises:
        ValueError: if the ratio is not above 0 and at most 1.

    Examples:
        >>> crop = RandomFiveCrop(0.5)
        >>> crop({'img': np.zeros((8, 12, 3), np.uint8)})['img'].shape
        (4, 6, 3)
    """

    def __init__(self, ratio: float = 0.5) -> None:
        if not 0 < ratio <= 1:
            raise ValueError(f'ratio must be above 0 and at most 1, got {ratio!r}')
        self.ratio = ratio

    def __call__(self, results: dict) -> dict:
        """Crop the image of a pipeline.

        Args:
            results: ``img``, (H, W, 3), and the masks that ``seg_fields`` names, (H, W).

        Returns:
            The same results with the crop and its shape.
        """
        height, width = results['img'].shape[:2]
        rows, columns = (max(1, int(length * self.ratio)) for length in (height, width))
        down, right = PLACES[np.random.randint(len(PLACES))]
        top, left = round(down * (height - rows)), round(right * (width - columns))
        crops = {
            key: np.ascontiguousarray(results[key][top : top + rows, left : left + columns])
            for key in ('img', *results.get('seg_fields', ()))
        }
        shape = crops['img'].shape
        return results | crops | {'img_shape': shape, 'pad_shape': shape}

    def __repr__(self) -> str:
        return f'{type(self).__name__}(ratio={self.ratio})'

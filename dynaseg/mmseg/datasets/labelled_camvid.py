import numpy as np
from mmseg.datasets import CustomDataset
from mmseg.datasets.builder import DATASETS

from dynaseg.io.files import take_evenly
from dynaseg.mmseg.datasets.camvid import CamVidDataset


@DATASETS.register_module()
class LabelledCamVidDataset(CamVidDataset):
    """CamVid for networks that learn its classes: evaluated as they are, without any matching.

    Args:
        pipeline: the processing of an image, as in MMSegmentation.
        max_images: the maximum number of images, evenly spaced in the order of their names; all if
            None.
        **kwargs: other arguments of :class:`CamVidDataset`.

    Raises:
        ValueError: if ``max_images`` is below 1.
    """

    METRICS = ('mIoU', 'mDice', 'mFscore')

    def __init__(self, pipeline: list[dict], max_images: int | None = None, **kwargs) -> None:
        if max_images is not None and max_images < 1:
            raise ValueError(f'max_images must be at least 1, got {max_images}')
        super().__init__(pipeline, **kwargs)
        self.img_infos = take_evenly(self.img_infos, max_images)

    def pre_eval(self, preds: list[np.ndarray], indices: list[int]) -> list[tuple]:
        """Count as MMSegmentation's ``CustomDataset`` does."""
        return CustomDataset.pre_eval(self, preds, indices)

    def evaluate(self, results: list, metric: str = 'mIoU', **kwargs) -> dict[str, float]:
        """Evaluate as MMSegmentation's ``CustomDataset`` does."""
        return CustomDataset.evaluate(self, results, metric, **kwargs)

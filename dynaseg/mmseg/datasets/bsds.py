import os

import numpy as np
from mmseg.datasets.builder import DATASETS
from scipy.io import loadmat

from dynaseg.mmseg.datasets.folder import ImageFolderDataset
from dynaseg.mmseg.datasets.region_evaluation import RegionEvaluationMixin


@DATASETS.register_module()
class BSDS500Dataset(RegionEvaluationMixin, ImageFolderDataset):
    """Berkeley Segmentation Data Set 500: images, each segmented by several people.

    The layout is that of the public archive: ``images/val/NAME.jpg`` and
    ``groundTruth/val/NAME.mat``. Training reads no ground truth.

    Args:
        pipeline: the processing of an image, as in MMSegmentation.
        img_dir: the folder of the images.
        ann_dir: the folder of the ground truth.
        **kwargs: other arguments of :class:`ImageFolderDataset`, such as ``max_images`` and
            ``data_root``.

    Raises:
        FileNotFoundError: if there are no images.
    """

    def __init__(self, pipeline: list[dict], img_dir: str, ann_dir: str, **kwargs) -> None:
        # Every pixel counts, and 255 is a segment like any other.
        super().__init__(pipeline, img_dir, ann_dir=ann_dir, ignore_index=None, **kwargs)

    def load_annotations(
        self,
        img_dir: str,
        img_suffix: str,
        ann_dir: str,
        seg_map_suffix: str,
        split: str | None,
    ) -> list[dict]:
        """List the images and the ground truth that belongs to them."""
        infos = super().load_annotations(img_dir, img_suffix, ann_dir, seg_map_suffix, split)
        for info in infos:
            info['ann']['seg_map'] = os.path.splitext(info['filename'])[0] + '.mat'
        return infos

    def read_annotations(self, path: str) -> list[np.ndarray]:
        """Read a ground truth file; see :func:`read_bsds_annotations`."""
        return read_bsds_annotations(path)


def read_bsds_annotations(path: str) -> list[np.ndarray]:
    """Read the segmentations of a ground truth file of BSDS500.

    Args:
        path: the .mat file.

    Returns:
        Segment of each pixel, integers from 1, (H, W), one map per annotator.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not such a file.
    """
    try:
        cells = loadmat(path, variable_names=['groundTruth'])['groundTruth'].ravel()
        maps = [cell['Segmentation'].item() for cell in cells]
    except FileNotFoundError as error:
        raise FileNotFoundError(f'no ground truth file {path}') from error
    except Exception as error:  # from a parser that meets arbitrary bytes
        raise ValueError(
            f'{path} is not a BSDS500 ground-truth file: expected a .mat file with cells '
            f"'groundTruth' that have a 'Segmentation' ({type(error).__name__}: {error})"
        ) from error
    if not maps or not all(isinstance(segments, np.ndarray) for segments in maps):
        raise ValueError(
            f"{path} is not a BSDS500 ground-truth file: its 'Segmentation' is not a map"
        )
    return maps

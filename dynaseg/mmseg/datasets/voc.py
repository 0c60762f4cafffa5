import os
from pathlib import Path

import numpy as np
from mmseg.datasets.builder import DATASETS
from PIL import Image

from dynaseg.io.files import name_some, read_names
from dynaseg.mmseg.datasets.folder import ImageFolderDataset
from dynaseg.mmseg.datasets.region_evaluation import RegionEvaluationMixin

VOID = 255


@DATASETS.register_module()
class VOCRegionDataset(RegionEvaluationMixin, ImageFolderDataset):
    """Pascal VOC 2012, evaluated by regions: the class of a segment does not matter.

    A ground-truth segment is an id of the image's mask: each object, and the background as its own
    segment (Kim et al., TIP 2020). With ``ann_dir='SegmentationClass'`` it is everything that one
    class covers. The void pixels along the outlines (255) do not count. With one annotation per
    image, ``mIoU``, ``mIoU_fine`` and ``mIoU_coarse`` are equal.

    Args:
        pipeline: the processing of an image, as in MMSegmentation.
        split: text file with the images' names, one per line, such as
            ``'ImageSets/Segmentation/val.txt'``.
        img_dir: the folder of the images, ``NAME.jpg``.
        ann_dir: the folder of the masks, ``NAME.png``: ``'SegmentationObject'`` or
            ``'SegmentationClass'``.
        **kwargs: other arguments of :class:`ImageFolderDataset`, such as ``max_images`` and
            ``data_root``.

    Raises:
        FileNotFoundError: if the split file or images that it lists are missing; it says how many
            and which.
        ValueError: if the split file is not text, or lists no image, or one more than once.
    """

    def __init__(
        self,
        pipeline: list[dict],
        split: str,
        img_dir: str = 'JPEGImages',
        ann_dir: str = 'SegmentationObject',
        img_suffix: str = '.jpg',
        **kwargs,
    ) -> None:
        super().__init__(
            pipeline,
            img_dir,
            img_suffix=img_suffix,
            ann_dir=ann_dir,
            split=split,
            ignore_index=VOID,
            **kwargs,
        )

    def load_annotations(
        self, img_dir: str, img_suffix: str, ann_dir: str, seg_map_suffix: str, split: str
    ) -> list[dict]:
        """Find the images of the split file and the masks that belong to them."""
        try:
            names = read_names(Path(split))
        except FileNotFoundError as error:
            raise FileNotFoundError(f'no split file {split}') from error
        paths = [os.path.join(img_dir, name + img_suffix) for name in names]
        missing = [path for path in paths if not os.path.isfile(path)]
        if missing:
            raise FileNotFoundError(
                f'{len(missing)} of {len(names)} images that {split} lists are missing: '
                f'{name_some(missing)}'
            )
        return [
            {'filename': name + img_suffix, 'ann': {'seg_map': name + seg_map_suffix}}
            for name in names
        ]

    def read_annotations(self, path: str) -> list[np.ndarray]:
        """Read a mask: ids of segments, 255 where they do not count, uint8, (H, W), in a list."""
        try:
            with Image.open(path) as image:
                mode, ids = image.mode, np.array(image)
        except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises on damaged files
            raise ValueError(f'{path} cannot be read as a mask: {error}') from error
        if mode not in ('P', 'L'):
            raise ValueError(f"{path} is not a mask: expected mode 'P' or 'L', got {mode!r}")
        return [ids]

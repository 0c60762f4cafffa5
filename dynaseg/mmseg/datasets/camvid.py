import os

import numpy as np
from mmseg.datasets import CustomDataset
from mmseg.datasets.builder import DATASETS

from dynaseg.io.files import name_some
from dynaseg.mmseg.datasets.cluster_evaluation import ClusterEvaluationMixin
from dynaseg.mmseg.datasets.coco_stuff import list_folder

IMAGE_SUFFIXES = ('.png', '.jpg')
NUM_IMAGES, NUM_TRAIN = 367, 300
VOID = 11


@DATASETS.register_module()
class CamVidDataset(ClusterEvaluationMixin, CustomDataset):
    """CamVid's 367 training images, 480 x 360, split for clusters: 300 to train on, 67 to test.

    In the order of their file names the first 300 images are for training without labels, the last
    67 for evaluation (the copy of the SegNet tutorial; Brostow et al., Pattern Recognition Letters
    2009). Void pixels (11) do not count.

    Args:
        pipeline: the processing of an image, as in MMSegmentation.
        subset: ``'train'`` or ``'val'``.
        data_root: folder with ``img_dir`` and ``ann_dir``.
        img_dir: the folder of the images, PNG or JPEG.
        ann_dir: the folder of the masks, PNG; not read for training.
        test_mode: whether masks are needed.

    Raises:
        FileNotFoundError: if there are not 367 images, or masks are missing; it says where.
        ValueError: if ``subset`` is neither.
    """

    CLASSES = (
        'sky',
        'building',
        'pole',
        'road',
        'pavement',
        'tree',
        'sign',
        'fence',
        'car',
        'pedestrian',
        'bicyclist',
    )
    PALETTE = [
        [128, 128, 128],
        [128, 0, 0],
        [192, 192, 128],
        [128, 64, 128],
        [60, 40, 222],
        [128, 128, 0],
        [192, 128, 128],
        [64, 64, 128],
        [64, 0, 128],
        [64, 64, 0],
        [0, 128, 192],
    ]

    def __init__(
        self,
        pipeline: list[dict],
        subset: str = 'train',
        data_root: str | None = None,
        img_dir: str = 'train',
        ann_dir: str = 'trainannot',
        test_mode: bool = False,
    ) -> None:
        if subset not in ('train', 'val'):
            raise ValueError(f"subset must be 'train' or 'val', got {subset!r}")
        self.subset = subset
        super().__init__(
            pipeline,
            img_dir,
            ann_dir=ann_dir,
            data_root=data_root,
            test_mode=test_mode,
            ignore_index=VOID,
            gt_seg_map_loader_cfg={'imdecode_backend': 'pillow'},
        )

    def load_annotations(
        self, img_dir: str, img_suffix: str, ann_dir: str, seg_map_suffix: str, split: str | None
    ) -> list[dict]:
        """List the subset's images and the masks that belong to them."""
        images = list_folder(img_dir, IMAGE_SUFFIXES)
        if len(images) != NUM_IMAGES:
            raise FileNotFoundError(
                f'{img_dir} has {len(images)} images ({" or ".join(IMAGE_SUFFIXES)}), expected '
                f"CamVid's {NUM_IMAGES} training images; see data/README.md"
            )
        names = sorted(images)
        names = names[:NUM_TRAIN] if self.subset == 'train' else names[NUM_TRAIN:]
        if self.test_mode:
            masks = list_folder(ann_dir, (seg_map_suffix,))
            missing = [name for name in names if name not in masks]
            if missing:
                raise FileNotFoundError(
                    f'{len(missing)} of {len(names)} images have no mask in {ann_dir} '
                    f'({seg_map_suffix}): {name_some(missing)}'
                )
        return [
            {'filename': images[name], 'ann': {'seg_map': name + seg_map_suffix}} for name in names
        ]

    def get_gt_seg_map_by_idx(self, index: int) -> np.ndarray:
        """Read the class of each pixel, (H, W), 11 where it is void.

        Raises:
            ValueError: if the mask holds other values; it names the file.
        """
        truth = super().get_gt_seg_map_by_idx(index)
        if truth.max() > VOID:
            path = os.path.join(self.ann_dir, self.img_infos[index]['ann']['seg_map'])
            raise ValueError(f'{path}: expected classes 0 to {VOID}, found {truth.max()}')
        return truth

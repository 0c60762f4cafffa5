import os

import numpy as np
from mmseg.datasets import CustomDataset
from mmseg.datasets.builder import DATASETS

from dynaseg.io.files import name_some
from dynaseg.mmseg.datasets.cluster_evaluation import ClusterEvaluationMixin
from dynaseg.mmseg.datasets.coco_stuff import list_folder

IMAGE_SUFFIXES = ('.png', '.jpg')
NUM_IMAGES = {'train': 367, 'val': 101, 'test': 233}
NUM_LAST = 67  # test images of the splits that test on the last images
SEQUENCES = ('0001TP', '0006R0', '0016E5')
SPLITS = ('last67', 'dev67', *SEQUENCES, 'standard')
VOID = 11


@DATASETS.register_module()
class CamVidDataset(ClusterEvaluationMixin, CustomDataset):
    """CamVid, 480 x 360, in its standard split and in splits of its training images.

    The copy of the SegNet tutorial (Brostow et al., Pattern Recognition Letters 2009). The splits
    of the 367 training images are for training without labels and testing without looking at val
    and test:

    - ``'last67'``: in the order of the file names, the first 300 for training, the last 67 for
      testing;
    - ``'dev67'``: of these 300, the first 233 for training, the last 67 for testing;
    - ``'0001TP'``, ``'0006R0'``, ``'0016E5'``: the images of this video sequence are left out of
      training; every second one is for testing.

    Void pixels (11) do not count.

    Args:
        pipeline: the processing of an image, as in MMSegmentation.
        subset: ``'train'``, ``'val'`` or, in the standard split, ``'test'``.
        data_root: folder with the images' and masks' folders.
        img_dir: the folder of the images, PNG or JPEG; by default that of the subset in the
            standard split, ``'train'`` in others.
        ann_dir: the folder of the masks, PNG, not read for training; by default ``img_dir`` with
            ``'annot'`` appended.
        test_mode: whether masks are needed.
        split: one of those above, or ``'standard'``: 367, 101 and 233 images in three folders.

    Raises:
        FileNotFoundError: if there are not as many images as CamVid has, or masks are missing; it
            says where.
        ValueError: if the split is unknown, or has no such subset.
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
        img_dir: str | None = None,
        ann_dir: str | None = None,
        test_mode: bool = False,
        split: str = 'last67',
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f'split must be one of {SPLITS}, got {split!r}')
        subsets = tuple(NUM_IMAGES) if split == 'standard' else ('train', 'val')
        if subset not in subsets:
            raise ValueError(f'subset must be one of {subsets} in split {split!r}, got {subset!r}')
        self.subset = subset
        self.camvid_split = split
        self.folder = subset if split == 'standard' else 'train'
        img_dir = img_dir or self.folder
        super().__init__(
            pipeline,
            img_dir,
            ann_dir=ann_dir or f'{img_dir}annot',
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
        if len(images) != NUM_IMAGES[self.folder]:
            raise FileNotFoundError(
                f'{img_dir} has {len(images)} images ({" or ".join(IMAGE_SUFFIXES)}), expected '
                f"CamVid's {NUM_IMAGES[self.folder]} {self.folder} images; see data/README.md"
            )
        names = choose_subset(sorted(images), self.subset, self.camvid_split)
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
        """Read the class of each pixel, (H, W), 11 for void.

        Raises:
            ValueError: if the mask holds other values; it names the file.
        """
        truth = super().get_gt_seg_map_by_idx(index)
        if truth.max() > VOID:
            path = os.path.join(self.ann_dir, self.img_infos[index]['ann']['seg_map'])
            raise ValueError(f'{path}: expected classes 0 to {VOID}, found {truth.max()}')
        return truth


def choose_subset(names: list[str], subset: str, split: str) -> list[str]:
    """Choose the images of a subset; see :class:`CamVidDataset`.

    Args:
        names: names of all images in the folder, sorted.
        subset: ``'train'``, or another for testing.
        split: the split's name.

    Returns:
        The names of the subset's images.
    """
    if split == 'standard':
        return names
    if split in SEQUENCES:
        left_out = [name for name in names if name.startswith(split)]
        return (
            [name for name in names if name not in left_out] if subset == 'train' else left_out[::2]
        )
    if split == 'dev67':
        names = names[:-NUM_LAST]
    return names[:-NUM_LAST] if subset == 'train' else names[-NUM_LAST:]

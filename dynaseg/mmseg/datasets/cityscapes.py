import os

import numpy as np
from mmseg.datasets import CustomDataset
from mmseg.datasets.builder import DATASETS

from dynaseg.io.files import name_some, walk_images
from dynaseg.mmseg.datasets.cluster_evaluation import ClusterEvaluationMixin
from dynaseg.mmseg.datasets.pipelines import add_crop
from dynaseg.mmseg.datasets.pipelines.table import IGNORE_INDEX, UNKNOWN, LoadByTable

SUBSETS = ('train', 'val', 'test', 'train_extra')
FIRST_ID, LAST_ID = 7, 33  # of the classes; those before are void
IMAGE_END, MASK_END = '_leftImg8bit.png', '_gtFine_labelIds.png'


@DATASETS.register_module()
class Cityscapes27Dataset(ClusterEvaluationMixin, CustomDataset):
    """Cityscapes with the 27 classes of PiCIE (Cho et al., CVPR 2021): all that are not void.

    The layout is that of the public archives ``leftImg8bit_trainvaltest`` and
    ``gtFine_trainvaltest``, and of ``leftImg8bit_trainextra``::

        data_root/leftImg8bit/{train,val,test,train_extra}/CITY/*_leftImg8bit.png
        data_root/gtFine/{train,val}/CITY/*_gtFine_labelIds.png

    Masks hold Cityscapes ids, of which 7 to 33 become classes 0 to 26; others are ignored.
    They are needed for testing only.

    Args:
        pipeline: the processing of an image, as in MMSegmentation.
        subset: one of the four above, or several, such as ``('test', 'train_extra')``, on which
            PiCIE trains.
        data_root: the folder of the layout above.
        evaluation_crop: see :class:`~dynaseg.mmseg.datasets.CocoStuff27Dataset`.
        test_mode: whether the masks are needed.

    Raises:
        ValueError: if a subset is unknown, or ``evaluation_crop`` is not a positive integer.
        FileNotFoundError: if there are no images, or masks are missing; it says which and where.
    """

    CLASSES = (
        'road',
        'sidewalk',
        'parking',
        'rail track',
        'building',
        'wall',
        'fence',
        'guard rail',
        'bridge',
        'tunnel',
        'pole',
        'polegroup',
        'traffic light',
        'traffic sign',
        'vegetation',
        'terrain',
        'sky',
        'person',
        'rider',
        'car',
        'truck',
        'bus',
        'caravan',
        'trailer',
        'train',
        'motorcycle',
        'bicycle',
    )
    PALETTE = [
        [128, 64, 128],
        [244, 35, 232],
        [250, 170, 160],
        [230, 150, 140],
        [70, 70, 70],
        [102, 102, 156],
        [190, 153, 153],
        [180, 165, 180],
        [150, 100, 100],
        [150, 120, 90],
        [153, 153, 153],
        [153, 153, 153],
        [250, 170, 30],
        [220, 220, 0],
        [107, 142, 35],
        [152, 251, 152],
        [70, 130, 180],
        [220, 20, 60],
        [255, 0, 0],
        [0, 0, 142],
        [0, 0, 70],
        [0, 60, 100],
        [0, 0, 90],
        [0, 0, 110],
        [0, 80, 100],
        [0, 0, 230],
        [119, 11, 32],
    ]

    def __init__(
        self,
        pipeline: list[dict],
        subset: str | tuple[str, ...] = 'train',
        data_root: str = 'data/cityscapes',
        evaluation_crop: int | None = None,
        test_mode: bool = False,
    ) -> None:
        self.subsets = (subset,) if isinstance(subset, str) else tuple(subset)
        unknown = [name for name in self.subsets if name not in SUBSETS]
        if unknown or not self.subsets:
            raise ValueError(f'subset must be among {SUBSETS}, got {subset!r}')
        super().__init__(
            add_crop(pipeline, evaluation_crop),
            img_dir='leftImg8bit',
            ann_dir='gtFine',
            data_root=data_root,
            test_mode=test_mode,
        )
        self.gt_seg_map_loader = LoadByTable(
            make_cityscapes27_table(), 'ids of Cityscapes, 0 to 33 or 255'
        )

    def load_annotations(
        self, img_dir: str, img_suffix: str, ann_dir: str, seg_map_suffix: str, split: str | None
    ) -> list[dict]:
        """List the subsets' images and the masks that belong to them."""
        infos = []
        for subset in self.subsets:
            folder = os.path.join(img_dir, subset)
            paths = sorted(path for path in walk_images(folder) if path.endswith(IMAGE_END))
            if not paths:
                raise FileNotFoundError(
                    f'{folder} has no images CITY/*{IMAGE_END}; see data/README.md'
                )
            names = [os.path.relpath(path, img_dir) for path in paths]
            infos += [
                {'filename': name, 'ann': {'seg_map': name.removesuffix(IMAGE_END) + MASK_END}}
                for name in names
            ]
        if self.test_mode:
            masks = [info['ann']['seg_map'] for info in infos]
            missing = [name for name in masks if not os.path.isfile(os.path.join(ann_dir, name))]
            if missing:
                raise FileNotFoundError(
                    f'{len(missing)} of {len(infos)} images have no mask in {ann_dir}: '
                    f'{name_some(missing)}; see data/README.md'
                )
        return infos


def make_cityscapes27_table() -> np.ndarray:
    """Make the table from Cityscapes ids to the 27 classes.

    Returns:
        The class of every possible pixel value, uint8, (256,): 255 for ignored ids, such as 0 to 6
        and number plates, 254 for ids that Cityscapes does not have.

    Examples:
        >>> make_cityscapes27_table()[[6, 7, 33, 34, 255]]
        array([255,   0,  26, 254, 255], dtype=uint8)
    """
    table = np.full(256, UNKNOWN, dtype=np.uint8)
    table[:FIRST_ID] = table[255] = IGNORE_INDEX
    table[FIRST_ID : LAST_ID + 1] = np.arange(LAST_ID + 1 - FIRST_ID)
    return table

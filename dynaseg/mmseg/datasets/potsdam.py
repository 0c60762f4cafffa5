import os
from pathlib import Path

import numpy as np
from mmseg.datasets import CustomDataset
from mmseg.datasets.builder import DATASETS

from dynaseg.io.files import name_some, read_names
from dynaseg.mmseg.datasets.cluster_evaluation import ClusterEvaluationMixin
from dynaseg.mmseg.datasets.coco_stuff import list_folder
from dynaseg.mmseg.datasets.pipelines import add_crop
from dynaseg.mmseg.datasets.pipelines.table import IGNORE_INDEX, UNKNOWN, LoadByTable

SPLIT_FILES = {
    'train': ('labelled_train.txt',),
    'unlabelled_train': ('unlabelled_train.txt',),
    'all_train': ('unlabelled_train.txt', 'labelled_train.txt'),
    'val': ('labelled_test.txt',),
}
# The classes of roads, buildings, low vegetation, trees, cars, clutter.
COARSE = (0, 1, 2, 2, 0, 1)
SOURCE = 'python tools/prepare_data.py potsdam makes them; see data/README.md'


@DATASETS.register_module()
class Potsdam3Dataset(ClusterEvaluationMixin, CustomDataset):
    """Potsdam in the crops and with the three classes of IIC (Ji et al., ICCV 2019).

    ``tools/prepare_data.py potsdam`` extracts the images and masks from IIC's ``.mat`` files, which
    STEGO uses as well::

        data_root/{unlabelled_train,labelled_train,labelled_test}.txt
        data_root/images/ID.png      200 x 200, RGB
        data_root/masks/ID.png       the six classes of Potsdam, 0 to 5, or 255

    Masks are needed for testing only.

    Args:
        pipeline: the processing of an image, as in MMSegmentation.
        subset: ``'train'``, ``'unlabelled_train'``, ``'all_train'`` (both) or ``'val'``, which are
            the images of ``labelled_test.txt``.
        data_root: the folder of the layout above.
        evaluation_crop: see :class:`~dynaseg.mmseg.datasets.CocoStuff27Dataset`.
        test_mode: whether the masks are needed.

    Raises:
        ValueError: if ``subset`` is unknown, ``evaluation_crop`` is not a positive integer, or the
            lists of images are empty.
        FileNotFoundError: if a list, images or masks are missing; it says which and where.
    """

    CLASSES = ('roads and cars', 'buildings and clutter', 'vegetation and trees')
    PALETTE = [[255, 255, 255], [0, 0, 255], [0, 255, 0]]

    def __init__(
        self,
        pipeline: list[dict],
        subset: str = 'train',
        data_root: str = 'data/potsdam',
        evaluation_crop: int | None = None,
        test_mode: bool = False,
    ) -> None:
        if subset not in SPLIT_FILES:
            raise ValueError(f'subset must be one of {tuple(SPLIT_FILES)}, got {subset!r}')
        self.lists = [os.path.join(data_root, name) for name in SPLIT_FILES[subset]]
        super().__init__(
            add_crop(pipeline, evaluation_crop),
            img_dir='images',
            ann_dir='masks',
            data_root=data_root,
            test_mode=test_mode,
        )
        table = np.full(256, UNKNOWN, dtype=np.uint8)
        table[: len(COARSE)], table[255] = COARSE, IGNORE_INDEX
        self.gt_seg_map_loader = LoadByTable(table, 'classes of Potsdam, 0 to 5 or 255')

    def load_annotations(
        self, img_dir: str, img_suffix: str, ann_dir: str, seg_map_suffix: str, split: str | None
    ) -> list[dict]:
        """List the subset's images and the masks that belong to them."""
        ids = read_ids(self.lists)
        for folder in (img_dir, *[ann_dir] * self.test_mode):
            found = list_folder(folder, ('.png',))
            missing = [name for name in ids if name not in found]
            if missing:
                raise FileNotFoundError(
                    f'{len(missing)} of {len(ids)} listed images are not in {folder} (.png): '
                    f'{name_some(missing)}; {SOURCE}'
                )
        return [{'filename': f'{name}.png', 'ann': {'seg_map': f'{name}.png'}} for name in ids]


def read_ids(lists: list[str]) -> list[str]:
    """Read the ids of images from several text files, one per line.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if one is no text, or lists nothing or something twice.
    """
    ids = []
    for path in lists:
        try:
            ids += read_names(Path(path))
        except FileNotFoundError as error:
            raise FileNotFoundError(f'no list of images {path}; see data/README.md') from error
    return ids

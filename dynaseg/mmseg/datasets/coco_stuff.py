import os
from pathlib import Path

from mmseg.datasets import CustomDataset
from mmseg.datasets.builder import DATASETS

from dynaseg.io.files import name_some, read_names
from dynaseg.io.palette import distinct_palette
from dynaseg.mmseg.datasets.cluster_evaluation import ClusterEvaluationMixin
from dynaseg.mmseg.datasets.pipelines import add_crop
from dynaseg.mmseg.datasets.pipelines.coco_stuff import (
    COCO_STUFF27_CLASSES,
    COCO_STUFF27_GROUPS,
    LoadCocoStuff27Annotations,
)

SUBSETS = ('train2017', 'val2017')
IMAGE_SUFFIXES = ('.jpeg', '.jpg')
SPLIT_FILE = 'Coco164kFull_Stuff_Coarse_7.txt'
SOURCES = {
    'split': "PiCIE's repository (github.com/janghyuncho/PiCIE) carries the split files",
    'images': 'https://cocodataset.org/#download has the images (2017 Train, 2017 Val)',
    'masks': 'https://github.com/nightrome/cocostuff has the masks (stuffthingmaps_trainval2017)',
}


@DATASETS.register_module()
class CocoStuff27Dataset(ClusterEvaluationMixin, CustomDataset):
    """COCO-Stuff with 27 classes in the split of PiCIE (Cho et al., CVPR 2021).

    The layout is as follows, or as in PiCIE and STEGO, with ``images`` in place of ``coco`` and
    ``annotations`` beside it; images may end in ``.jpeg`` or ``.jpg``::

        data_root/curated/{train2017,val2017}/Coco164kFull_Stuff_Coarse_7.txt
        data_root/coco/{train2017,val2017}/xxxxxxxxxxxx.jpeg
        data_root/coco/annotations/{train2017,val2017}/xxxxxxxxxxxx.png

    The masks hold raw COCO-Stuff ids (0 to 181, 255 unlabelled), which become 12 thing and 15 stuff
    classes. They are needed for testing only.

    Args:
        pipeline: the processing of an image, as in MMSegmentation.
        subset: ``'train2017'`` or ``'val2017'``.
        categories: ``'all'`` 27 classes, or only ``'stuff'`` or ``'thing'``, with the pixels of the
            others ignored.
        data_root: the folder of the layout above.
        split_file: name of the list of image ids, one per line.
        evaluation_crop: side in pixels of the central square on which images are evaluated, 320 in
            PiCIE, DenseSiam and STEGO; by default the whole image at its own size. See
            :class:`EvaluationCrop`, which then follows the pipeline's first step.
        test_mode: whether the masks are needed.

    Raises:
        ValueError: if ``subset`` or ``categories`` is unknown, ``evaluation_crop`` is not a
            positive integer, or the split file is empty.
        FileNotFoundError: if files are missing; it says which, how many, and where to get them.
    """

    def __init__(
        self,
        pipeline: list[dict],
        subset: str = 'train2017',
        categories: str = 'all',
        data_root: str = 'data',
        split_file: str = SPLIT_FILE,
        evaluation_crop: int | None = None,
        test_mode: bool = False,
    ) -> None:
        if subset not in SUBSETS:
            raise ValueError(f"subset must be 'train2017' or 'val2017', got {subset!r}")
        loader = LoadCocoStuff27Annotations(categories=categories)
        self.CLASSES = loader.classes
        chosen = [COCO_STUFF27_CLASSES.index(name) for name in loader.classes]
        self.PALETTE = distinct_palette(len(COCO_STUFF27_CLASSES))[chosen].tolist()
        if categories == 'all':
            self.CLASS_GROUPS = COCO_STUFF27_GROUPS
        images, masks = find_layout(data_root)
        super().__init__(
            add_crop(pipeline, evaluation_crop),
            img_dir=os.path.join(images, subset),
            ann_dir=os.path.join(masks, subset),
            split=os.path.join('curated', subset, split_file),
            data_root=data_root,
            classes=None,
            test_mode=test_mode,
        )
        self.gt_seg_map_loader = loader

    def load_annotations(
        self, img_dir: str, img_suffix: str, ann_dir: str, seg_map_suffix: str, split: str
    ) -> list[dict]:
        """Read the split file and find each listed image and, for testing, its mask."""
        ids = read_split(split)
        images = list_folder(img_dir, IMAGE_SUFFIXES)
        require(ids, images, f'image in {img_dir} ({" or ".join(IMAGE_SUFFIXES)})', 'images')
        if self.test_mode:
            masks = list_folder(ann_dir, (seg_map_suffix,))
            require(ids, masks, f'mask in {ann_dir} ({seg_map_suffix})', 'masks')
        return [
            {'filename': images[name], 'ann': {'seg_map': name + seg_map_suffix}} for name in ids
        ]


def find_layout(data_root: str | Path) -> tuple[str, str]:
    """Find COCO's images and masks below a folder; see :class:`CocoStuff27Dataset`."""
    # Photographs of one's own are in images/, too.
    if any(os.path.isdir(os.path.join(data_root, 'images', subset)) for subset in SUBSETS):
        return 'images', 'annotations'
    return 'coco', os.path.join('coco', 'annotations')


def read_split(path: str | Path) -> list[str]:
    """Read the image ids of a split file.

    Args:
        path: text file, one id per line.

    Returns:
        The ids, in the file's order.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not text, or lists no image, or one more than once.
    """
    try:
        return read_names(Path(path))
    except FileNotFoundError as error:
        raise FileNotFoundError(f'no split file {path}; {SOURCES["split"]}') from error


def list_folder(folder: str | Path, suffixes: tuple[str, ...]) -> dict[str, str]:
    """Map the stems of a folder's files to their names; an absent folder is an empty one.

    Args:
        folder: the folder.
        suffixes: the endings that count, the preferred one first.

    Returns:
        File names by stem.
    """
    if not os.path.isdir(folder):
        return {}
    names = set(os.listdir(folder))
    found = {}
    for suffix in reversed(suffixes):
        found.update((name.removesuffix(suffix), name) for name in names if name.endswith(suffix))
    return found


def require(ids: list[str], found: dict[str, str], what: str, source: str) -> None:
    """Raise FileNotFoundError unless every id was found."""
    missing = [name for name in ids if name not in found]
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(ids)} listed ids have no {what}: {name_some(missing)}; '
            f'{SOURCES[source]}'
        )

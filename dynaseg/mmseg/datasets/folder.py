import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from logging import Logger
from pathlib import Path

import numpy as np
from mmseg.datasets import CustomDataset
from mmseg.datasets.builder import DATASETS

from dynaseg.core.regions import RegionHierarchy
from dynaseg.io.files import IMAGE_SUFFIXES, name_some, read_names, take_evenly, walk_images
from dynaseg.io.palette import distinct_palette
from dynaseg.io.writing import write_label_map
from dynaseg.mmseg.datasets.cluster_evaluation import ClusterEvaluationMixin
from dynaseg.mmseg.datasets.pipelines.loading import read_mask

NUM_COLOURS = 256


@DATASETS.register_module()
class ImageFolderDataset(CustomDataset):
    """The images of a folder and its subfolders, without labels: for training and for segmenting.

    Tests write label maps (``--format-only --eval-options imgfile_prefix=FOLDER``), pictures
    (``--show-dir FOLDER``) or a pickle (``--out FILE``); there is nothing to evaluate against, so
    train with ``--no-validate`` unless ``data.val`` is another data set.

    Args:
        pipeline: the processing of an image, as in MMSegmentation.
        img_dir: the folder. Files with one of ``dynaseg.io.files.IMAGE_SUFFIXES``, in upper or
            lower case, are images; hidden files and folders, and links to folders, are
            skipped.
        img_suffix: only files whose names end so are images; any of the above if empty.
        split: a text file of the images to take, by their paths below the folder, with or without
            suffix, one a line; all if None.
        max_images: the maximum number of images, evenly spaced in the order of their names; all if
            None.
        **kwargs: other arguments of MMSegmentation's ``CustomDataset``, such as ``data_root`` and
            ``test_mode``.

    Raises:
        FileNotFoundError: if the folder or the split does not exist, or the folder holds no image.
        ValueError: if ``max_images`` is below 1, or the split lists what is not in the folder.
    """

    # Clusters have only numbers; names and colours are for what MMSegmentation draws.
    CLASSES = tuple(f'cluster {index}' for index in range(NUM_COLOURS))
    PALETTE = distinct_palette(NUM_COLOURS).tolist()
    METRICS = ()

    def __init__(
        self,
        pipeline: list[dict],
        img_dir: str,
        max_images: int | None = None,
        img_suffix: str = '',
        split: str | None = None,
        **kwargs,
    ) -> None:
        if max_images is not None and max_images < 1:
            raise ValueError(f'max_images must be at least 1, got {max_images}')
        super().__init__(pipeline, img_dir, img_suffix=img_suffix, split=split, **kwargs)
        self.img_infos = take_evenly(self.img_infos, max_images)

    def load_annotations(
        self,
        img_dir: str,
        img_suffix: str,
        ann_dir: str | None,
        seg_map_suffix: str,
        split: str | None,
    ) -> list[dict]:
        """List the images; the arguments are those of ``CustomDataset.load_annotations``."""
        return [{'filename': name, 'ann': {}} for name in list_images(img_dir, img_suffix, split)]

    def pre_eval(self, preds: object, indices: object) -> None:
        """Raise ValueError: there are no labels to evaluate against."""
        raise self._no_labels()

    def evaluate(
        self,
        results: Sequence[object],
        metric: str | Sequence[str] = 'mIoU',
        logger: Logger | str | None = None,
        **kwargs,
    ) -> dict[str, float]:
        """Raise ValueError: there are no labels to evaluate against."""
        raise self._no_labels()

    def format_results(
        self,
        results: Sequence[np.ndarray],
        imgfile_prefix: str,
        indices: Sequence[int] | None = None,
        **kwargs,
    ) -> list[str]:
        """Write label maps as PNG; see :func:`dynaseg.io.writing.write_label_map`.

        Args:
            results: label of each pixel, integers from 0, (H, W), or a hierarchy, for each image.
            imgfile_prefix: the folder they are written to: FOLDER/NAME.jpg gives
                ``imgfile_prefix``/FOLDER/NAME.jpg.png.
            indices: the images' indices in the data set; all of them in order if None.
            **kwargs: not used; stock scripts may pass them.

        Returns:
            The files' paths.

        Raises:
            ValueError: if labels are negative or above 16,777,215.
        """
        indices = range(len(self)) if indices is None else indices
        paths = []
        for labels, index in zip(results, indices, strict=True):
            path = Path(imgfile_prefix, f'{self.img_infos[index]["filename"]}.png')  # unique
            if isinstance(labels, RegionHierarchy):
                labels = labels.regions()
            write_label_map(path, np.asarray(labels))
            paths.append(str(path))
        return paths

    def _no_labels(self) -> ValueError:
        return ValueError(
            f'{self.img_dir}: {type(self).__name__} has no labels to evaluate against; test with '
            '--format-only, --show-dir or --out instead of --eval, and train with --no-validate'
        )


@DATASETS.register_module()
class LabelledFolderDataset(ClusterEvaluationMixin, ImageFolderDataset):
    """The images of a folder with masks of the same names in another, which evaluate clusters.

    The mask of FOLDER/NAME.jpg is FOLDER/NAME.png below ``ann_dir``: one 8-bit channel with the
    class index of each pixel, 255 where there is no label.

    Args:
        pipeline: the processing of an image, as in MMSegmentation.
        img_dir: the folder of the images; see :class:`ImageFolderDataset`.
        ann_dir: the folder of the masks; not read for training.
        classes: the classes' names, in the order of their indices, or a file with one per line.
        **kwargs: as for :class:`ImageFolderDataset`; with ``reduce_zero_label=True``, 0 is not a
            class, and the first class is 1.

    Raises:
        FileNotFoundError: if a folder does not exist, or in tests an image has no mask.
        ValueError: if there are no classes, or two images share a mask.
    """

    CLASSES = PALETTE = None

    def __init__(
        self,
        pipeline: list[dict],
        img_dir: str,
        ann_dir: str,
        classes: Sequence[str] | str,
        **kwargs,
    ) -> None:
        if not classes:
            raise ValueError(f'classes must be the names of the classes, got {classes!r}')
        super().__init__(pipeline, img_dir, ann_dir=ann_dir, classes=classes, **kwargs)

    def load_annotations(
        self,
        img_dir: str,
        img_suffix: str,
        ann_dir: str,
        seg_map_suffix: str,
        split: str | None,
    ) -> list[dict]:
        """List the images and their masks."""
        names = list_images(img_dir, img_suffix, split)
        masks = [f'{os.path.splitext(name)[0]}{seg_map_suffix}' for name in names]
        twice = [mask for mask, count in Counter(masks).items() if count > 1]
        if twice:
            raise ValueError(f'{img_dir}: several images have the same mask: {name_some(twice)}')
        missing = [mask for mask in masks if not os.path.isfile(os.path.join(ann_dir, mask))]
        if missing and self.test_mode:
            raise FileNotFoundError(
                f'{len(missing)} of {len(masks)} images have no mask in {ann_dir}: '
                f'{name_some(missing)}'
            )
        return [
            {'filename': name, 'ann': {'seg_map': mask}}
            for name, mask in zip(names, masks, strict=True)
        ]

    def get_gt_seg_map_by_idx(self, index: int) -> np.ndarray:
        """Read the mask of an image, (H, W)."""
        return read_mask(os.path.join(self.ann_dir, self.img_infos[index]['ann']['seg_map']))


def list_images(folder: str, suffix: str = '', split: str | None = None) -> list[str]:
    """List the image files of a folder and its subfolders.

    Args:
        folder: the folder.
        suffix: only of names that end so.
        split: a text file of those to take, with or without suffix, one a line; all if None.

    Returns:
        Their paths below the folder, sorted.

    Raises:
        FileNotFoundError: if the folder or the split does not exist, or the folder holds no image.
        ValueError: if something with an image's name is not a file, such as a pipe, or is a broken
            link; if the split lists nothing, or what is not in the folder or there twice.
    """
    if not os.path.isdir(folder):
        raise FileNotFoundError(f'no image folder {folder}')
    names = sorted(os.path.relpath(path, folder) for path in walk_images(folder))
    names = [name for name in names if name.endswith(suffix)]
    others = [name for name in names if not os.path.isfile(os.path.join(folder, name))]
    if others:
        raise ValueError(f'{folder}: not files, or broken links: {name_some(others)}')
    if not names:
        expected = suffix or ' '.join(IMAGE_SUFFIXES)
        raise FileNotFoundError(f'{folder} holds no images ({expected})')
    return names if split is None else _choose(names, folder, split)


def _choose(names: list[str], folder: str, split: str) -> list[str]:
    """Choose the images that a split lists."""
    listed = read_names(Path(split), apart='\n')
    by_name = defaultdict(list)
    for name in names:
        for key in (name, os.path.splitext(name)[0]):
            by_name[key].append(name)
    missing = [key for key in listed if key not in by_name]
    if missing:
        raise ValueError(f'{split} lists images that are not in {folder}: {name_some(missing)}')
    twice = [key for key in listed if len(by_name[key]) > 1]
    if twice:
        raise ValueError(f'{split}: several images in {folder} are {name_some(twice)}')
    chosen = Counter(by_name[key][0] for key in listed)
    repeated = [name for name, times in chosen.items() if times > 1]
    if repeated:
        raise ValueError(f'{split} lists images more than once: {name_some(repeated)}')
    return sorted(chosen)

import os
from collections.abc import Sequence
from logging import Logger
from typing import NamedTuple

import numpy as np
from mmcv.utils import print_log
from mmseg.utils import get_root_logger
from prettytable import PrettyTable

from dynaseg.core.metrics.hierarchies import (
    HierarchyStatistics,
    hierarchy_statistics,
    summarize_hierarchies,
)
from dynaseg.core.metrics.regions import (
    REGION_METRICS,
    RegionStatistics,
    region_statistics,
    summarize_regions,
)
from dynaseg.core.regions import RegionHierarchy
from dynaseg.io.files import name_some
from dynaseg.mmseg.errors import UserError

# Altitudes at which hierarchies are cut, in units of that at detail .5, which is included.
CUTS = np.arange(15, 151) / 50


class LabelMapStatistics(NamedTuple):
    """Statistics of a label map, by what counts as a segment.

    Attributes:
        components: each connected component of a label, as the protocol has it.
        labels: each label as such.
    """

    components: RegionStatistics
    labels: RegionStatistics


class RegionEvaluationMixin:
    """Makes an MMSegmentation data set evaluate regions against its annotations.

    Put it before the data set in the bases and define ``read_annotations``. Each image's
    ``img_infos`` entry names the file of its annotations, below ``ann_dir``, as
    ``info['ann']['seg_map']``; its ``ignore_index`` is the segment whose pixels do not count, or
    None. Images whose file is missing can be segmented but not evaluated.
    """

    METRICS = REGION_METRICS

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._annotations_found = False
        missing = len(self.find_missing_annotations()) if self.test_mode else 0
        if missing:
            get_root_logger().warning(
                f'{missing} of {len(self)} images have no annotations in {self.ann_dir}: '
                'they can be segmented, but not evaluated'
            )

    def read_annotations(self, path: str) -> list[np.ndarray]:
        """Read the annotations of an image: segment of each pixel, integers, each (H, W).

        Raises:
            ValueError: if the file does not hold annotations; it names the file.
        """
        raise NotImplementedError

    def get_annotations(self, index: int) -> list[np.ndarray]:
        """Read the annotations of the image with this index; see :meth:`read_annotations`."""
        return self.read_annotations(self._annotation_path(index))

    def get_gt_seg_map_by_idx(self, index: int) -> np.ndarray:
        """Read the first annotation of an image, for tools that show one; integers, (H, W)."""
        return self.get_annotations(index)[0]

    def find_missing_annotations(self) -> list[str]:
        """List the missing annotation files."""
        paths = map(self._annotation_path, range(len(self)))
        return [path for path in paths if not os.path.isfile(path)]

    def refuse_missing_annotations(self) -> None:
        """Raise UserError if annotations of any image are missing."""
        missing = self.find_missing_annotations()
        if missing:
            raise UserError(
                f'{len(missing)} of {len(self)} images have no annotations; '
                f'missing: {name_some(missing)}'
            )

    def pre_eval(
        self, preds: Sequence[np.ndarray] | np.ndarray, indices: Sequence[int] | int
    ) -> list[LabelMapStatistics | HierarchyStatistics]:
        """Compare the segmentations of some images with their annotations.

        Args:
            preds: label of each pixel, integers, (H, W), or the hierarchy of regions, per image.
            indices: the images' indices in the data set.

        Returns:
            The statistics of each image.

        Raises:
            UserError: if annotations of any image of the data set are missing (it says how many and
                which), cannot be read, or differ in size from the prediction (it names the file).
        """
        if not self._annotations_found:  # reported at once, not after hours of fitting
            self.refuse_missing_annotations()
            self._annotations_found = True
        indices = indices if isinstance(indices, list) else [indices]
        preds = preds if isinstance(preds, list) else [preds]
        statistics = []
        for pred, index in zip(preds, indices, strict=True):
            try:
                annotations = self.get_annotations(index)
            except (ValueError, OSError) as error:
                raise UserError(str(error)) from error
            try:
                statistics.append(self._compare(pred, annotations))
            except ValueError as error:
                raise UserError(f'{self._annotation_path(index)}: {error}') from error
        return statistics

    def _compare(
        self, pred: np.ndarray | RegionHierarchy, annotations: list[np.ndarray]
    ) -> LabelMapStatistics | HierarchyStatistics:
        if isinstance(pred, RegionHierarchy):
            return hierarchy_statistics(pred, annotations, pred.middle * CUTS, self.ignore_index)
        return LabelMapStatistics(
            *(
                region_statistics(pred, annotations, self.ignore_index, components)
                for components in (True, False)
            )
        )

    def evaluate(
        self,
        results: Sequence[object],
        metric: str | Sequence[str] = 'mIoU',
        logger: Logger | str | None = None,
        gt_seg_maps: object | None = None,
        **kwargs,
    ) -> dict[str, float]:
        """Report the region metrics of the data set.

        Args:
            results: what ``pre_eval`` returned for every image, or every image's label map or
                hierarchy.
            metric: one or several of the names below; all are reported in any case.
            logger: where the table goes; the console by default.
            gt_seg_maps: not used; stock scripts may pass it.
            **kwargs: not used; stock scripts may pass them.

        Returns:
            ``mIoU``, ``mIoU_fine``, ``mIoU_coarse``, ``covering`` and ``PRI`` as fractions, ``VoI``
            in bits and ``components`` per image; see :func:`summarize_regions`. For label maps
            these are the figures of connected components; ``labels_mIoU``, ``labels_mIoU_fine`` and
            ``labels_mIoU_coarse`` are those of labels as such. For hierarchies they are the figures
            of the cut at detail .5, together with ``covering``, ``PRI`` and ``VoI`` at the best
            single cut (``_ODS``) and the best cut per image (``_OIS``) and the figures of the cut
            with the best ``mIoU`` (``finest_``); see
            :func:`dynaseg.core.metrics.hierarchies.summarize_hierarchies`. The tables show the
            fractions in per cent.

        Raises:
            ValueError: if a metric is unknown, there are no results, or no pixel is annotated.
        """
        unknown = {metric} if isinstance(metric, str) else set(metric)
        unknown -= set(self.METRICS)
        if unknown:
            raise ValueError(f'metric must be among {self.METRICS}, got {sorted(unknown)}')
        if not len(results):
            raise ValueError(f'{type(self).__name__} has no results to evaluate')
        if not isinstance(results[0], LabelMapStatistics | HierarchyStatistics):
            results = self.pre_eval(list(results), list(range(len(results))))
        if not any(map(_is_annotated, results)):
            raise UserError(
                f'{self.ann_dir}: none of {len(results)} images has an annotated pixel (all are '
                f'{self.ignore_index}): there is nothing to evaluate against'
            )
        if isinstance(results[0], LabelMapStatistics):
            figures = summarize_regions([image.components for image in results])
            labels = summarize_regions([image.labels for image in results])
            labels = {
                f'labels_{name}': labels[name] for name in ('mIoU', 'mIoU_fine', 'mIoU_coarse')
            }
            _print(f'Regions of {len(results)} images:', figures, logger)
            _print('Labels as such (another protocol):', labels, logger)
            return figures | labels
        summary = summarize_hierarchies(results, CUTS, default=1.0)
        groups = {'default': {}, 'finest': {}, 'best': {}}
        for name, value in summary.items():
            group, _, rest = name.partition('_')
            if group in groups:
                groups[group][rest.replace('regions', 'components')] = value
            else:
                groups['best'][name] = value
        _print(f'Regions of {len(results)} images at detail .5:', groups['default'], logger)
        _print('At the cut with the best mIoU:', groups['finest'], logger)
        _print('At the best cut for the set (ODS) and per image (OIS):', groups['best'], logger)
        finest = {f'finest_{name}': value for name, value in groups['finest'].items()}
        return groups['default'] | groups['best'] | finest

    def _annotation_path(self, index: int) -> str:
        return os.path.join(self.ann_dir, self.img_infos[index]['ann']['seg_map'])


def _is_annotated(statistics: LabelMapStatistics | HierarchyStatistics) -> bool:
    """Tell whether any pixel of an image counts."""
    if isinstance(statistics, LabelMapStatistics):
        statistics = statistics.components
    return len(statistics.segment_ious) > 0


def _print(title: str, figures: dict[str, float], logger: Logger | str | None) -> None:
    """Print figures as a table, fractions in per cent."""
    plain = ('VoI', 'components', 'threshold')
    table = PrettyTable(list(figures))
    table.add_row(
        [
            f'{value if name.startswith(plain) else 100 * value:.2f}'
            for name, value in figures.items()
        ]
    )
    print_log(title, logger)
    print_log('\n' + table.get_string(), logger)

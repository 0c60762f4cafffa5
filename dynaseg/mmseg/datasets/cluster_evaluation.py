import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from logging import Logger
from typing import NamedTuple

import numpy as np
from mmcv.utils import print_log
from mmseg.datasets import (
    ADE20KDataset,
    CityscapesDataset,
    CustomDataset,
    PascalContextDataset,
    PascalVOCDataset,
)
from mmseg.datasets.builder import DATASETS
from mmseg.datasets.pipelines import LoadAnnotations
from PIL import Image
from prettytable import PrettyTable

from dynaseg.core.metrics.clusters import (
    ClassMetrics,
    class_metrics,
    contingency_table,
    match_hungarian,
    match_majority,
    nan_mean,
    sum_tables,
)
from dynaseg.io.files import DAMAGE, name_some
from dynaseg.io.names import UNNAMED
from dynaseg.mmseg.datasets.pipelines.evaluation_crop import EvaluationCrop
from dynaseg.mmseg.errors import UserError


class ClusterCounts(NamedTuple):
    """The counts of an image.

    Attributes:
        table: contingency table, (K, C); see :func:`contingency_table`.
        names: names of the labels, if they have any.
    """

    table: np.ndarray
    names: tuple[str, ...] | None = None


class ClusterEvaluationMixin:
    """Makes an MMSegmentation data set evaluate clusters instead of classes.

    Put it before the data set in the bases: ``class Mine(ClusterEvaluationMixin, CustomDataset)``.
    Every image gives one contingency table; ``evaluate`` adds them up, matches clusters to classes
    once for the whole set (Hungarian method) and reports what MMSegmentation reports, under its
    names. Clusters may outnumber the classes; the pixels of unmatched clusters count as wrong.

    Label maps of named clusters (``test_cfg.names``) are not matched to anything: their figures are
    reported as ``named_mIoU`` and so on, without those of other protocols.

    Attributes:
        CLASS_GROUPS: names of groups of classes and their indices; the mean IoU and accuracy of
            each group are reported as ``mIoU_NAME`` and ``mAcc_NAME``.
    """

    CLASS_GROUPS: Mapping[str, Sequence[int]] = {}
    METRICS = ('mIoU', 'majority')

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if self.label_map:  # MMSegmentation gives left-out classes -1, which masks cannot hold
            self.label_map = {
                value: self.ignore_index if label < 0 else label
                for value, label in self.label_map.items()
            }
            if self.reduce_zero_label:  # of masks, which count classes from 1
                self.label_map = {0: 0} | {
                    value + 1: 255 if label == self.ignore_index else label + 1
                    for value, label in self.label_map.items()
                }

    def pre_eval(
        self, preds: Sequence[np.ndarray] | np.ndarray, indices: Sequence[int] | int
    ) -> list[ClusterCounts]:
        """Count the clusters of some images against their ground truth.

        Args:
            preds: cluster of each pixel, (H, W) per image.
            indices: the images' indices in the data set.

        Returns:
            One contingency table per image.

        Raises:
            ValueError: if a prediction differs in size from its ground truth, or the ground truth
                has values that are not classes; it names the file.
        """
        if not isinstance(indices, list):
            indices = [indices]
        if not isinstance(preds, list):
            preds = [preds]
        counts = []
        for pred, index in zip(preds, indices, strict=True):
            seg_map = f'{self.ann_dir}/{self.img_infos[index]["ann"]["seg_map"]}'
            try:
                truth = self.read_classes(index)
            except DAMAGE as error:
                message = str(error)
                named = message if seg_map in message else f'{seg_map}: {message}'
                raise UserError(named) from error
            if truth.ndim == 2 and truth.shape != pred.shape:
                found, expected = (f'{one.shape[1]} x {one.shape[0]}' for one in (truth, pred))
                raise UserError(f'{seg_map}: the mask is {found} pixels, its image {expected}')
            try:
                table = contingency_table(pred, truth, len(self.CLASSES), self.ignore_index)
            except ValueError as error:
                raise UserError(f'{seg_map}: {error}') from error
            names = getattr(pred, 'names', None)
            if names is not None:
                self._find_classes(names)  # which reports at once a name that is not a class
            counts.append(ClusterCounts(table, names))
        return counts

    def read_classes(self, index: int) -> np.ndarray:
        """Read the class of each pixel of an image, as it is evaluated.

        Args:
            index: the image's index in the data set.

        Returns:
            Classes, or ``ignore_index``, (H, W).
        """
        if type(self.gt_seg_map_loader) is LoadAnnotations:  # which takes values modulo 256
            self._refuse_deep_mask(index)
        truth = self.get_gt_seg_map_by_idx(index)
        if self.reduce_zero_label:
            is_ignored = (truth % 255 == 0) | (truth == self.ignore_index)
            truth = np.where(is_ignored, self.ignore_index, truth - 1)
        return self.crop_as_evaluated(truth, 'nearest')

    def _refuse_deep_mask(self, index: int) -> None:
        path = os.path.join(self.ann_dir or '', self.img_infos[index]['ann']['seg_map'])
        try:
            with Image.open(path) as mask:
                wraps = mask.mode.startswith(('I', 'F')) and mask.getextrema()[1] > 255
        except Image.DecompressionBombError as error:
            raise UserError(f'{path} cannot be read as a mask: {error}') from error
        except (OSError, SyntaxError):  # of which the loader tells
            return
        if wraps:
            raise UserError(f'{path} is not a mask of one 8-bit channel')

    def crop_as_evaluated(self, picture: np.ndarray, interpolation: str) -> np.ndarray:
        """Crop an image or a label map as the pipeline does, if it has an ``EvaluationCrop``.

        Args:
            picture: (H, W) or (H, W, C).
            interpolation: MMCV's name for it: ``'nearest'`` for labels.

        Returns:
            The crop, or the picture itself.
        """
        for step in self.pipeline.transforms:
            if isinstance(step, EvaluationCrop):
                return step.crop(picture, interpolation)
        return picture

    def evaluate(
        self,
        results: Sequence[ClusterCounts] | Sequence[np.ndarray],
        metric: str | Sequence[str] = 'mIoU',
        logger: Logger | str | None = None,
        gt_seg_maps: object | None = None,
        **kwargs,
    ) -> dict[str, float]:
        """Match clusters to classes and report the metrics, as fractions.

        Args:
            results: what ``pre_eval`` returned for every image, or every image's label map.
            metric: ``'mIoU'`` and optionally ``'majority'``, which gives each cluster its most
                frequent class; those figures are reported as ``majority_mIoU`` and so on.
            logger: where the tables go; the console by default.
            gt_seg_maps: not used; stock scripts may pass it.
            **kwargs: not used; stock scripts may pass them.

        Returns:
            ``aAcc``, ``mIoU``, ``mAcc``, ``IoU.CLASS`` and ``Acc.CLASS``, the groups of
            ``CLASS_GROUPS``, and ``mIoU_per_image`` and ``aAcc_per_image``, the means over the
            images after matching each image by itself. The last two follow another protocol and
            can be compared only with figures of the same kind. For named clusters, only
            ``named_aAcc``, ``named_mIoU`` and so on: labels without a name count as wrong.

        Raises:
            ValueError: if a metric is unknown, there are no results, or no pixel has a label.
        """
        metrics = [metric] if isinstance(metric, str) else list(metric)
        unknown = set(metrics) - set(self.METRICS)
        if unknown:
            raise ValueError(f'metric must be among {self.METRICS}, got {sorted(unknown)}')
        if not len(results):
            raise ValueError(f'{type(self).__name__} has no results to evaluate')
        if not isinstance(results[0], ClusterCounts):
            results = self.pre_eval(list(results), list(range(len(results))))

        tables = [counts.table for counts in results]
        table = sum_tables(tables)
        if not table.any():
            raise UserError(
                f'{self.ann_dir}: none of {len(tables)} images has a labelled pixel (all are '
                f'{self.ignore_index}): there is nothing to evaluate against'
            )
        if results[0].names is not None:
            assignment = self._find_classes(results[0].names)[: len(table)]
            named = self._report(class_metrics(table, assignment), 'named clusters', logger)
            return {f'named_{name}': value for name, value in named.items()}
        figures = self._report(
            class_metrics(table, match_hungarian(table)), 'Hungarian matching', logger
        )
        found, present = (int(table.any(axis=axis).sum()) for axis in (1, 0))
        if found < present:
            print_log(
                f'{found} clusters occur, but {present} classes: a class without a cluster has an '
                'IoU of 0 (model.decode_head.num_classes is the number of clusters)',
                logger,
            )
        per_image = [class_metrics(one, match_hungarian(one)) for one in tables if one.any()]
        figures['mIoU_per_image'] = nan_mean([one.mean_iou for one in per_image])
        figures['aAcc_per_image'] = nan_mean([one.accuracy for one in per_image])
        print_log(
            f'matched image by image (another protocol): '
            f'mIoU_per_image {100 * figures["mIoU_per_image"]:.2f}, '
            f'aAcc_per_image {100 * figures["aAcc_per_image"]:.2f}',
            logger,
        )
        if 'majority' in metrics:
            majority = self._report(
                class_metrics(table, match_majority(table)), 'majority vote', logger
            )
            figures.update({f'majority_{name}': value for name, value in majority.items()})
        return figures

    def _find_classes(self, names: Sequence[str]) -> np.ndarray:
        """Find the class of each name, -1 for labels without a name."""
        classes = [name.strip() for name in self.CLASSES]  # ADE20K has 'bed '
        unknown = [repr(name) for name in names if name not in (UNNAMED, *classes)]
        if unknown:
            raise UserError(
                f'clusters have the names {name_some(unknown)}, which are not classes of '
                f'{type(self).__name__} ({", ".join(self.CLASSES)}): name clusters after classes, '
                'or leave them unnamed'
            )
        return np.array([-1 if name == UNNAMED else classes.index(name) for name in names])

    def _report(
        self, metrics: ClassMetrics, matching: str, logger: Logger | str | None
    ) -> dict[str, float]:
        """Print MMSegmentation's two tables and return the figures under its names."""
        figures = OrderedDict(
            aAcc=metrics.accuracy, mIoU=metrics.mean_iou, mAcc=metrics.mean_recall
        )
        for group, indices in self.CLASS_GROUPS.items():
            figures[f'mIoU_{group}'] = nan_mean(metrics.iou[list(indices)])
            figures[f'mAcc_{group}'] = nan_mean(metrics.recall[list(indices)])
        summary = PrettyTable(list(figures))
        summary.add_row([f'{100 * value:.2f}' for value in figures.values()])
        by_class = PrettyTable(['Class', 'IoU', 'Acc'])
        for name, iou, recall in zip(self.CLASSES, metrics.iou, metrics.recall, strict=True):
            by_class.add_row([name, f'{100 * iou:.2f}', f'{100 * recall:.2f}'])
            figures[f'IoU.{name}'] = float(iou)
            figures[f'Acc.{name}'] = float(recall)
        print_log(f'per class results ({matching}):', logger)
        print_log('\n' + by_class.get_string(), logger)
        print_log(f'Summary ({matching}):', logger)
        print_log('\n' + summary.get_string(), logger)
        return {name: float(value) for name, value in figures.items()}


@DATASETS.register_module()
class ClusterCustomDataset(ClusterEvaluationMixin, CustomDataset):
    """``CustomDataset`` (give it ``classes``) that evaluates clusters."""


@DATASETS.register_module()
class ClusterCityscapesDataset(ClusterEvaluationMixin, CityscapesDataset):
    """``CityscapesDataset`` that evaluates clusters."""


@DATASETS.register_module()
class ClusterADE20KDataset(ClusterEvaluationMixin, ADE20KDataset):
    """``ADE20KDataset`` that evaluates clusters."""


@DATASETS.register_module()
class ClusterPascalVOCDataset(ClusterEvaluationMixin, PascalVOCDataset):
    """``PascalVOCDataset`` that evaluates clusters."""


@DATASETS.register_module()
class ClusterPascalContextDataset(ClusterEvaluationMixin, PascalContextDataset):
    """``PascalContextDataset`` that evaluates clusters."""

"""Masks whose ids are mapped to classes by a table."""

import os

import numpy as np

from dynaseg.mmseg.datasets.pipelines.loading import read_mask

IGNORE_INDEX = 255
UNKNOWN = 254  # no class: the table's entry for ids that a data set does not use


class LoadByTable:
    """Loads a mask of one 8-bit channel and maps its ids to classes by one table lookup.

    Args:
        table: class of every possible value, uint8, (256,): 255 for ignored ids, 254 for ids that
            do not exist.
        expected: the ids that exist, as text.
    """

    def __init__(self, table: np.ndarray, expected: str) -> None:
        self.table = table
        self.expected = expected

    def __call__(self, results: dict) -> dict:
        """Add ``gt_semantic_seg``, uint8, (H, W), to the results of the pipeline.

        Args:
            results: ``seg_prefix``, the masks' folder or None, and ``ann_info['seg_map']``.

        Returns:
            The same results.

        Raises:
            ValueError: if the mask cannot be read or has an id that the data set does not use.
        """
        path = os.path.join(results.get('seg_prefix') or '', results['ann_info']['seg_map'])
        ids = read_mask(path)
        classes = self.table[ids]
        unknown = np.unique(ids[classes == UNKNOWN])
        if unknown.size:
            raise ValueError(f'{path} has ids {unknown.tolist()}: expected {self.expected}')
        results['gt_semantic_seg'] = classes
        results.setdefault('seg_fields', []).append('gt_semantic_seg')
        return results

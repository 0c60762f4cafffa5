#!/usr/bin/env python
"""Read every image and mask of a config's data once, and list what is wrong, before training."""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import dynaseg.mmseg  # noqa: F401  (registers the data sets; before MMCV, to silence it)

# isort: split
import numpy as np
from mmcv import Config
from mmcv.parallel import DataContainer
from mmseg.datasets import build_dataset
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader, Dataset
from tqdm import tqdm

from dynaseg.io.files import DAMAGE
from dynaseg.mmseg.checks.errors import ConfigError
from dynaseg.mmseg.checks.run import find_loading
from dynaseg.mmseg.checks.settings import check_settings, load_with_options
from dynaseg.mmseg.datasets import RegionEvaluationMixin
from dynaseg.mmseg.training_data import build_dataloader, list_parts, seeded

SUBSETS = ('train', 'val', 'test')
SAMPLING = ('samples_per_gpu', 'drop_last', 'on_bad_image')  # of a loader's settings


class Finding(NamedTuple):
    """What is wrong with an image or its labels, if anything, and its size after the pipeline."""

    problem: str | None
    name: str
    size: tuple[int, int] | None = None


class Checked(Dataset):
    """The findings of a data set's images, for a loader's workers to compute in parallel."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Finding:
        """Run the pipeline on an image and, in test mode, compare it with its labels."""
        infos = getattr(self.dataset, 'img_infos', None)  # which joined images have not
        name = infos[index]['filename'] if infos else str(index)
        try:
            with seeded(0, index):
                sample = self.dataset[index]
            if getattr(self.dataset, 'test_mode', False) and self.dataset.ann_dir is not None:
                self._check_labels(index, unpack(sample['img_metas'])['ori_shape'][:2])
        except KeyError as error:
            lacking = f'no step of the pipeline gives {error}, which a later one needs'
            return Finding(f'{name}: {lacking}', name)
        except (*DAMAGE, Image.DecompressionBombError) as error:
            text = str(error)
            return Finding(text if name in text else f'{name}: {text}', name)
        height, width = unpack(sample['img']).shape[-2:]
        return Finding(None, name, (width, height))

    def _check_labels(self, index: int, shape: tuple[int, int]) -> None:
        """Evaluate a segmentation of one segment: what a test rejects is rejected here."""
        if isinstance(self.dataset, RegionEvaluationMixin):
            for annotation in self.dataset.get_annotations(index):
                if annotation.shape != shape:
                    name = self.dataset.img_infos[index]['ann']['seg_map']
                    raise ValueError(f'{name} is {annotation.shape}, but its image is {shape}')
        else:
            self.dataset.pre_eval(np.zeros(shape, dtype=np.int64), index)


def unpack(value: object) -> object:
    """Unwrap a value from what MMSegmentation's pipelines pack it into."""
    while isinstance(value, list | DataContainer):
        value = value[0] if isinstance(value, list) else value.data
    return value


def check(config: Config, subset: str, workers: int) -> Iterator[str]:
    """Find what is wrong with one of a config's data sets.

    Args:
        config: the config.
        subset: ``'train'``, ``'val'`` or ``'test'``.
        workers: processes that read images, at least 1.

    Yields:
        One sentence per problem.
    """
    default = {} if subset == 'train' else {'test_mode': True}
    try:
        dataset = build_dataset(config.data[subset], default)
    except (ValueError, TypeError, OSError) as error:
        yield str(error)
        return
    checked = ConcatDataset([Checked(part) for part in list_parts(dataset)])
    loader = DataLoader(checked, batch_size=None, num_workers=workers, collate_fn=Finding._make)
    findings = list(tqdm(loader, desc=subset, unit='image', file=sys.stderr))
    yield from (finding.problem for finding in findings if finding.problem)
    if subset != 'train':
        return
    loading = {'samples_per_gpu': 1, 'drop_last': True, **find_loading(config.data)}
    batch_size = loading['samples_per_gpu']
    sampling = {key: loading[key] for key in SAMPLING if key in loading}
    try:
        build_dataloader(dataset, workers_per_gpu=0, dist=False, seed=0, **sampling)
    except ValueError as error:
        yield str(error)
    sizes = Counter(finding.size for finding in findings if finding.size)
    if batch_size > 1 and len(sizes) > 1:
        examples = {finding.size: finding.name for finding in findings}
        described = ', '.join(
            f'{count} of {width} x {height} ({examples[width, height]})'
            for (width, height), count in sizes.most_common(3)
        )
        yield (
            f'images differ in size after data.train.pipeline, and a batch has {batch_size}: '
            f'{described}; crop and pad them to one size, or set data.samples_per_gpu=1'
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status is 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='path or name of a config')
    parser.add_argument('--subsets', nargs='+', choices=SUBSETS, default=SUBSETS)
    parser.add_argument('--workers', type=int, default=2, help='processes that read images')
    parser.add_argument('--cfg-options', nargs='+', default=[], help='as in train.py')
    options = parser.parse_args(arguments)
    if options.workers < 1:
        parser.error(f'--workers must be at least 1, got {options.workers}')
    try:
        config = load_with_options(options.config, options.cfg_options)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    try:
        check_settings(config)
    except ConfigError as error:
        print(f'{error}\nconfig: 1 problem', file=sys.stderr)
        return 1
    checked, failed = [], False
    for subset in options.subsets:
        if subset not in config.get('data', {}) or config.data[subset] in checked:
            continue  # most configs test on what they validate on
        checked.append(config.data[subset])
        problems = list(check(config, subset, options.workers))
        failed |= bool(problems)
        for problem in problems:
            print(f'{subset}: {problem}', file=sys.stderr)
        found = f'{len(problems)} problem{"s" * (len(problems) > 1)}' if problems else 'no problems'
        print(f'{subset}: {found}')
    return int(failed)


if __name__ == '__main__':
    sys.exit(main())

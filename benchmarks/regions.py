"""Benchmark of hierarchies of regions on BSDS500: the recipe, its ablations, and baselines.

For example, all rows of the ablation on every second train image:

    python benchmarks/regions.py data/bsds500 --split train --every 2 --rows ablation

One process with one thread. Prints a Markdown table; ``--save`` keeps each image's scores, from
which paired differences with their standard errors are printed.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import region_baselines as baselines
import torch
from region_features import deep_channels, deep_features
from region_fits import fit_soft_maps, kmeans_soft_maps
from scipy.io import loadmat
from skimage.io import imread

from dynaseg.core.channels import image_channels
from dynaseg.core.metrics.hierarchies import (
    HierarchyStatistics,
    hierarchy_statistics,
    summarize_hierarchies,
)
from dynaseg.core.regions.build import build_hierarchy
from dynaseg.core.regions.settings import DEEP, PLAIN, RegionSettings
from dynaseg.core.regions.small_regions import remove_small_regions

RELATIVE_THRESHOLDS = np.round(np.arange(0.3, 2.8, 0.02), 2)


class Photograph:
    """An image, its annotations, and what is computed from it once for all rows."""

    def __init__(self, folder: Path, split: str, name: str) -> None:
        self.name = name
        self.image = imread(folder / 'images' / split / f'{name}.jpg')
        cells = loadmat(folder / 'groundTruth' / split / f'{name}.mat')['groundTruth'].ravel()
        self.annotations = [cell['Segmentation'].item() for cell in cells]
        self.soft = {}

    @cached_property
    def features(self) -> list[np.ndarray]:
        """Levels of ImageNet features."""
        return deep_features(self.image)

    def soft_maps(self, kind: str, seed: int = 0) -> list[torch.Tensor]:
        """Soft labels by fits to ``rgb``, ``texture`` or ``deep`` channels, or by ``kmeans``."""
        if kind == 'none':
            return []
        if (kind, seed) not in self.soft:
            if kind == 'deep':
                channels = deep_channels(self.image, self.features)
            else:
                channels = image_channels(self.image, 'rgb' if kind == 'rgb' else 'texture')
            fit = kmeans_soft_maps if kind == 'kmeans' else fit_soft_maps
            self.soft[kind, seed] = fit(channels, seed)
        return self.soft[kind, seed]


Row = Callable[[Photograph], HierarchyStatistics]


def recipe(
    photograph: Photograph,
    kinds: Sequence[str] = ('texture',),
    settings: RegionSettings = PLAIN,
    seed: int = 0,
    min_area: int = 0,
) -> HierarchyStatistics:
    """Compare a hierarchy of the recipe with the annotations."""
    soft = [maps for kind in kinds for maps in photograph.soft_maps(kind, seed)]
    features = photograph.features if settings.features else ()
    hierarchy = build_hierarchy(photograph.image, soft, features, settings)
    if min_area:
        hierarchy = remove_small_regions(hierarchy, min_area)
    thresholds = RELATIVE_THRESHOLDS * settings.middle
    return hierarchy_statistics(hierarchy, photograph.annotations, thresholds)


def without(**settings: object) -> Row:
    """Make the row of the recipe without pretrained networks with some settings changed."""
    return partial(recipe, settings=replace(PLAIN, **settings))


def cost_without(**settings: object) -> Row:
    """Make the same with some settings of the cost changed."""
    return without(cost=replace(PLAIN.cost, **settings))


def baseline(segment: Callable[[np.ndarray], list[np.ndarray]], photograph: Photograph):
    """Compare a baseline's segmentations, one for each of its scales, with the annotations."""
    return baselines.compare(segment(photograph.image), photograph.annotations)


GROUPS: dict[str, dict[str, Row]] = {
    'main': {
        'without fits': partial(recipe, kinds=('none',)),
        'fits on RGB': partial(recipe, kinds=('rgb',)),
        'K-means on texture': partial(recipe, kinds=('kmeans',)),
        'fits on texture': recipe,
        'fits on texture, seed 1': partial(recipe, seed=1),
        'fits on texture, seed 2': partial(recipe, seed=2),
        'fits on texture and on RGB': partial(recipe, kinds=('texture', 'rgb')),
    },
    'deep': {
        'ImageNet features, without fits': partial(recipe, kinds=('none',), settings=DEEP),
        'ImageNet features, fits on texture': partial(recipe, settings=DEEP),
        'ImageNet features, fits on texture and deep': partial(
            recipe, kinds=('deep',), settings=DEEP
        ),
    },
    'ablation': {
        'fits on texture': recipe,
        'without fits': partial(recipe, kinds=('none',)),
        'K-means on texture': partial(recipe, kinds=('kmeans',)),
        'fits on RGB': partial(recipe, kinds=('rgb',)),
        'no soft contrast': without(soft_contrast=0.0),
        'no soft gradients': without(soft_fine=0.0, soft_coarse=0.0),
        'no colour histogram': without(colour=0.0),
        'no gradient histogram': without(gradient=0.0),
        'no band histograms': without(bands=0.0),
        'no orientation histogram': without(orientation=0.0),
        'no texture histograms': without(gradient=0.0, bands=0.0, orientation=0.0),
        'no patterns': without(patterns=0.0),
        'no descriptors': without(  # at least one weight must be positive
            colour=1e-9, gradient=0.0, bands=0.0, orientation=0.0, patterns=0.0
        ),
        'no texture suppression': cost_without(texture=0.0),
        'area power 0': cost_without(area_power=0.0),
        'shape power 0': cost_without(shape_power=0.0),
        'least area 100 pixels': partial(recipe, min_area=100),
    },
    'suppression': {
        **{
            f'texture suppression {texture:g}' + (f', seed {seed}' if seed else ''): partial(
                cost_without(texture=texture), seed=seed
            )
            for texture in (1.0, 1.25)
            for seed in range(3)
        },
        'texture suppression 1.25, without fits': partial(
            cost_without(texture=1.25), kinds=('none',)
        ),
        'texture suppression 1.75': cost_without(texture=1.75),
        'texture suppression 2': cost_without(texture=2.0),
    },
    'baselines': {
        'Felzenszwalb': partial(baseline, baselines.felzenszwalb_scales),
        'SLIC, mean colours merged': partial(baseline, baselines.slic_merged),
        'people, leave one out': lambda photograph: baselines.people(photograph.annotations),
    },
    'slow': {
        'SLIC, normalised cuts': partial(baseline, baselines.normalized_cuts),
        'quickshift': partial(baseline, baselines.quickshift_scales),
    },
}


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('folder', type=Path, help='with images/ and groundTruth/')
    parser.add_argument('--split', default='train', choices=('train', 'val'))
    parser.add_argument('--every', type=int, default=1, help='take every Nth image')
    parser.add_argument('--start', type=int, default=0, help='from this image on')
    parser.add_argument('--rows', nargs='+', default=['main'], help='groups, or names of rows')
    parser.add_argument('--save', type=Path, help='JSON file of the scores of each image')
    return parser.parse_args()


def choose_rows(wanted: Sequence[str]) -> dict[str, Row]:
    """Find rows by their names or their group's."""
    every = {name: row for group in GROUPS.values() for name, row in group.items()}
    rows = {}
    for name in wanted:
        if name not in GROUPS and name not in every:
            raise ValueError(f'rows must be among {[*GROUPS, *every]}, got {name!r}')
        rows |= GROUPS.get(name) or {name: every[name]}
    return rows


def table_row(name: str, statistics: list[HierarchyStatistics], seconds: float) -> str:
    """Format a row of the table."""
    places = np.arange(len(statistics[0].coverings), dtype=float)
    thresholds = RELATIVE_THRESHOLDS if len(places) == len(RELATIVE_THRESHOLDS) else places
    default = 1.0 if thresholds is RELATIVE_THRESHOLDS else places[len(places) // 2]
    values = summarize_hierarchies(statistics, thresholds, default)
    cells = [
        name,
        f'{values["covering_ODS"]:.3f} / {values["covering_OIS"]:.3f}',
        f'{values["PRI_ODS"]:.3f}',
        f'{values["VoI_ODS"]:.2f}',
        ' / '.join(f'{values[f"default_{key}"]:.3f}' for key in ('mIoU', 'mIoU_coarse', 'covering'))
        + f', {values["default_regions"]:.0f}',
        ' / '.join(f'{values[f"finest_{key}"]:.3f}' for key in ('mIoU', 'mIoU_fine', 'mIoU_coarse'))
        + f', {values["finest_regions"]:.0f}',
        f'{values["threshold_ODS"]:.2f}, {values["finest_threshold"]:.2f}',
        f'{seconds:.2f}',
    ]
    return f'| {" | ".join(cells)} |'


HEADER = (
    '| row | covering ODS / OIS | PRI | VoI | default: all / coarse / covering, regions '
    '| finest: all / fine / coarse, regions | thresholds: ODS, finest | s per image |\n'
    '| --- | --- | --- | --- | --- | --- | --- | --- |'
)


def image_scores(statistics: list[HierarchyStatistics]) -> dict[str, list[float]]:
    """Get each image's covering and VoI at the set's best thresholds, and its best covering."""
    coverings = np.stack([image.coverings.mean(axis=1) for image in statistics])
    variations = np.stack([image.variations.mean(axis=1) for image in statistics])
    return {
        'covering_ODS': coverings[:, coverings.mean(axis=0).argmax()].tolist(),
        'covering_OIS': coverings.max(axis=1).tolist(),
        'VoI_ODS': variations[:, variations.mean(axis=0).argmin()].tolist(),
    }


def difference(scores: dict[str, list[float]], reference: dict[str, list[float]]) -> str:
    """Format the mean differences of two rows over the images, with their standard errors."""
    parts = []
    for key, values in scores.items():
        change = np.array(values) - np.array(reference[key])
        error = change.std(ddof=1) / np.sqrt(len(change)) if len(change) > 1 else 0.0
        parts.append(f'{key} {change.mean():+.4f} ({error:.4f})')
    return ', '.join(parts)


def main() -> None:
    """Run the benchmark."""
    arguments = parse_arguments()
    torch.set_num_threads(1)
    rows = choose_rows(arguments.rows)
    names = sorted(
        path.stem for path in (arguments.folder / 'images' / arguments.split).glob('*.jpg')
    )
    names = names[arguments.start :: arguments.every]
    if not names:
        raise ValueError(f'{arguments.folder} has no images of {arguments.split}')
    found = {row: [] for row in rows}
    seconds = dict.fromkeys(rows, 0.0)
    for name in names:
        photograph = Photograph(arguments.folder, arguments.split, name)
        for row, measure in rows.items():
            start = time.process_time()
            found[row].append(measure(photograph))
            seconds[row] += time.process_time() - start
    print(HEADER)
    scores = {}
    for row, statistics in found.items():
        print(table_row(row, statistics, seconds[row] / len(names)))
        scores[row] = image_scores(statistics)
    first = next(iter(rows))
    print(f'\nAgainst {first!r}, mean over the images (standard error):\n')
    for row in list(rows)[1:]:
        print(f'- {row}: {difference(scores[row], scores[first])}')
    if arguments.save:
        arguments.save.write_text(json.dumps({'images': names, 'rows': scores}))


if __name__ == '__main__':
    main()

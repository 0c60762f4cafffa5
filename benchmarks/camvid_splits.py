"""Run a config over splits of CamVid: see ``python benchmarks/camvid_splits.py --help``."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from benchmark import tabulate

from dynaseg.analysis.naming import build_evaluated, count_clusters, name_by_labels
from dynaseg.core.metrics.clusters import class_metrics, match_hungarian
from dynaseg.io.files import write_file
from dynaseg.io.names import write_names
from dynaseg.mmseg.build import build_segmentor_from
from dynaseg.mmseg.configs import Config, DictAction, load_config
from dynaseg.mmseg.datasets.camvid import SPLITS

DESCRIPTION = """\
Trains and tests a config on every split and prints its row: mIoU / aAcc in per cent, averaged over
the seeds. The column "mean" is over the splits without last67: choose settings by it, then look at
last67 once. `--splits standard` trains on the 367 training images and tests on --subset."""
TRAIN = Path(__file__).resolve().parents[1] / 'tools' / 'train.py'
CHOOSING = tuple(split for split in SPLITS if split not in ('last67', 'standard'))


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help="path of a config, or its name under DynaSeg's configs/")
    parser.add_argument('--splits', nargs='+', choices=SPLITS, default=CHOOSING)
    parser.add_argument('--subset', default='val', help='of the standard split: val or test (val)')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--data-root', default='data/camvid', help='CamVid (data/camvid)')
    parser.add_argument(
        '--named',
        type=int,
        metavar='N',
        help='name clusters by labels of every N-th training image, instead of matching them',
    )
    parser.add_argument(
        '--work-dir', type=Path, default='work_dirs/splits', help='(work_dirs/splits)'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, help='changes to the config'
    )
    return parser.parse_args(arguments)


def configure(options: argparse.Namespace, split: str) -> Config:
    """Load the config for a split."""
    config = load_config(options.config)
    config.merge_from_dict(options.cfg_options)
    for name in ('train', 'val', 'test'):
        subset = 'train' if name == 'train' else options.subset
        config.data[name].update(split=split, subset=subset, data_root=options.data_root)
    return config


def run(options: argparse.Namespace, split: str, seed: int) -> dict[str, object]:
    """Train and test on a split; returns the figures."""
    folder = options.work_dir / Path(options.config).stem / f'{split}_{seed}'
    config = configure(options, split)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / 'config.py'
    config.dump(str(path))
    started = time.perf_counter()
    command = [sys.executable, TRAIN, path, '--seed', str(seed), '--no-validate']
    done = subprocess.run(
        [*command, '--work-dir', folder], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ValueError(f'training on {split} failed:\n{done.stderr[-2000:]}')
    seconds = time.perf_counter() - started
    segmentor = build_segmentor_from(config, folder / 'latest.pth')
    dataset = build_evaluated(config, 'test')
    if options.named:
        names = name_by_labels(segmentor, config, options.named)
        write_names(folder / 'names.json', names)
        segmentor.vote_by_names(names)
    table = count_clusters(segmentor, dataset)
    if options.named:
        assignment = names.find_classes(len(table), dataset.CLASSES)
    else:
        assignment = match_hungarian(table)
    metrics = class_metrics(table, assignment)
    figures = {
        'split': split,
        'seed': seed,
        'protocol': 'named' if options.named else 'Hungarian',
        'mIoU': metrics.mean_iou,
        'aAcc': metrics.accuracy,
        'IoU': dict(zip(dataset.CLASSES, metrics.iou.tolist(), strict=True)),
        'empty_clusters': int((table.sum(axis=1) == 0).sum()),
        'training_seconds': seconds,
    }
    write_file(folder / 'figures.json', json.dumps(figures, indent=1) + '\n')
    return figures


def summarize(runs: list[dict[str, object]]) -> dict[str, str]:
    """Make a row of runs: one column per split, and the mean over the splits without last67."""
    splits = list(dict.fromkeys(one['split'] for one in runs))
    means = {
        split: np.mean([(r['mIoU'], r['aAcc']) for r in runs if r['split'] == split], axis=0)
        for split in splits
    }
    chosen = [means[split] for split in splits if split in CHOOSING]
    if chosen:
        means['mean'] = np.mean(chosen, axis=0)
    return {name: f'{100 * miou:.1f} / {100 * aacc:.1f}' for name, (miou, aacc) in means.items()}


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; returns the exit status."""
    options = parse_args(arguments)
    runs = []
    try:
        for split in options.splits:
            for seed in options.seeds:
                runs.append(run(options, split, seed))
                shown = {name: value for name, value in runs[-1].items() if name != 'IoU'}
                print(json.dumps(shown), flush=True)
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(tabulate([{'config': Path(options.config).stem, **summarize(runs)}]))
    return 0


if __name__ == '__main__':
    sys.exit(main())

#!/usr/bin/env python
"""Show what the clusters of a trained segmentor contain: figures, confusion matrix, pictures."""

import argparse
import sys

from dynaseg.analysis import analyze_clusters
from dynaseg.mmseg.checks.settings import load_with_options

DESCRIPTION = """\
Shows the clusters of a trained segmentor. Writes naming.html to the output folder, a page for
naming and merging clusters, which saves names.json for `dynaseg segment --names` and
model.test_cfg.names; it needs no labels. If the config's test images have labels, clusters are
compared with the classes: index.html (a page with everything), clusters.json, confusion.csv,
confusion.png and pictures/."""


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help="path of a config, or its name under DynaSeg's configs/")
    parser.add_argument('checkpoint', nargs='?', help='trained weights (fresh ones)')
    parser.add_argument('--out-dir', default='analysis', help='folder for the outputs (analysis)')
    parser.add_argument('--device', help='such as cpu or cuda:1 (the GPU if there is one)')
    parser.add_argument('--seed', type=int, default=0, help='seed of fresh weights (0)')
    parser.add_argument('--num-pictures', type=int, default=12, help='images to draw (12)')
    parser.add_argument(
        '--probe-pixels',
        type=int,
        default=0,
        help='labelled pixels of data.train that train a linear probe (0: no probe)',
    )
    parser.add_argument(
        '--naming-images',
        type=int,
        default=60,
        help='images of data.train on the naming page (60; 0: no page)',
    )
    parser.add_argument('--names', metavar='JSON', help='names that this page starts with')
    parser.add_argument(
        '--names-from-labels',
        type=int,
        default=0,
        metavar='N',
        help='write names.json from the labels of every N-th image of data.train',
    )
    parser.add_argument(
        '--without-labels', action='store_true', help='make only the naming page, without labels'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        help='changes to the config: KEY=VALUE',
    )
    return parser.parse_args()


def main() -> int:
    """Analyse what the command line asks for; returns the exit status."""
    args = vars(parse_args())
    try:
        config = load_with_options(args.pop('config'), args.pop('cfg_options'))
        analysis = analyze_clusters(config, **args)
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    for protocol, figures in analysis.get('figures', {}).items():
        print(f'{protocol}: mIoU {100 * figures["mIoU"]:.2f}, aAcc {100 * figures["aAcc"]:.2f}')
    if 'empty_clusters' in analysis:
        print(f'{analysis["empty_clusters"]} empty clusters; {args["out_dir"]}/index.html')
    if 'naming' in analysis:
        print(f'to name the clusters: {args["out_dir"]}/naming.html')
    return 0


if __name__ == '__main__':
    sys.exit(main())

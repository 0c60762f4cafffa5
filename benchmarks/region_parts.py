"""Time the parts of the default predictor, and measure how whole regions change its clusters.

    python benchmarks/region_parts.py --data-root data/bsds500 --max-images 20

One process with one thread; times are CPU seconds.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from measure_images import load_images
from prettytable import PrettyTable, TableStyle

from dynaseg.core.channels import image_channels
from dynaseg.core.metrics.regions import region_statistics, summarize_regions
from dynaseg.core.regions import build_hierarchy
from dynaseg.core.regions.cues import soft_labels
from dynaseg.core.regions.labels import label_regions
from dynaseg.core.sizes import enlarge_labels
from dynaseg.predictor import LABEL_DETAIL, make_region_predictor


class Stopwatch:
    """Adds up the CPU seconds of parts, by name."""

    def __init__(self) -> None:
        self.seconds = defaultdict(float)

    def __call__(self, part: str, function: Callable, *arguments: object) -> object:
        """Call a function, and add its seconds to those of a part."""
        start = time.process_time()
        result = function(*arguments)
        self.seconds[part] += time.process_time() - start
        return result


def segment(image: np.ndarray, watch: Stopwatch) -> dict[str, np.ndarray]:
    """Segment an image, RGB, uint8, as the predictor does; returns its clusters in two forms."""
    predictor = make_region_predictor()
    seeds = len(predictor.networks)
    channels = watch('channels', image_channels, image, predictor.channels)[None]
    repeated = channels.expand(seeds, -1, -1, -1)
    fits = watch('fits', predictor.fitter.fit, predictor.networks, repeated)
    soft = watch('predictions', lambda: [soft_labels(fit.respond(channels)) for fit in fits])
    hierarchy = watch('hierarchy', build_hierarchy, image, soft, (), predictor.settings)
    clusters = torch.from_numpy(soft[0].argmax(axis=0))[None]
    clusters = enlarge_labels(clusters, image.shape[:2])[0].numpy()
    fine = hierarchy.regions(LABEL_DETAIL)
    return {
        'clusters as predicted': clusters,
        'clusters of whole regions': watch('clusters', label_regions, clusters, fine),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--data-root', type=Path, default=Path('data/bsds500'))
    parser.add_argument('--split', default='val')
    parser.add_argument('--max-images', type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = load_images(options)
    segment(images[0][0], Stopwatch())  # kernels are compiled at their first use
    watch, statistics = Stopwatch(), defaultdict(list)
    for image, annotations in images:
        for form, labels in segment(image, watch).items():
            for segments, components in (('components', True), ('labels as such', False)):
                statistics[form, segments].append(
                    region_statistics(labels, annotations, components=components)
                )
    table = PrettyTable(['part', 'seconds per image'])
    table.add_rows([[part, f'{value / len(images):.3f}'] for part, value in watch.seconds.items()])
    table.add_row(['all', f'{sum(watch.seconds.values()) / len(images):.3f}'])
    print(table.get_string(), end='\n\n')
    rows = PrettyTable(['labels', 'segments', *summarize_regions(next(iter(statistics.values())))])
    for (form, segments), values in statistics.items():
        rows.add_row([form, segments, *(f'{v:.3f}' for v in summarize_regions(values).values())])
    rows.set_style(TableStyle.MARKDOWN)
    print(rows.get_string())


if __name__ == '__main__':
    main()

"""Benchmark of guided segmentation on BSDS500: a subject cut out by scribbles.

The subject of an image is a segment of the annotation with the fewest segments: the largest of
those that fill 3 to 50% of the image and at most 5% of its edge; images without one are left out.
Scribbles are drawn at random, as many on the subject as around it: the shortest path, inside the
region, between two pixels deep in it, at most 60 pixels long and 3 pixels wide. All methods see the
same ones. For example:

    python benchmarks/guided.py data/bsds500 --split val --seeds 3

One process with one thread; prints a Markdown table of the mean IoU of subjects.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy import ndimage
from scipy.io import loadmat
from skimage.graph import route_through_array
from skimage.io import imread
from skimage.segmentation import random_walker

from dynaseg.core.channels import image_channels
from dynaseg.core.regions.build import build_hierarchy, working_image
from dynaseg.core.regions.cues import soft_labels
from dynaseg.core.regions.settings import PLAIN
from dynaseg.core.regions.spreading import spread_marks
from dynaseg.photos.marks import BACKGROUND, SUBJECT
from dynaseg.predictor import RegionPredictor, make_region_predictor

NUMBERS = (1, 2, 4)
LEAST, MOST, MOST_OF_EDGE = 0.03, 0.5, 0.05
LENGTH, WIDTH = 60, 3

Method = Callable[[np.ndarray, np.ndarray], np.ndarray]


def find_subject(annotations: list[np.ndarray]) -> np.ndarray | None:
    """Find the mask of an image's subject, (H, W), or None if it has none."""
    segments = min(annotations, key=lambda one: len(np.unique(one)))
    edge = np.concatenate([segments[0], segments[-1], segments[1:-1, 0], segments[1:-1, -1]])
    found = None
    for segment in np.unique(segments):
        mask = segments == segment
        if not LEAST <= mask.mean() <= MOST or (edge == segment).mean() > MOST_OF_EDGE:
            continue
        if found is None or mask.sum() > found.sum():
            found = mask
    return found


def draw_scribbles(mask: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``number`` scribbles in a region: marked pixels, (H, W)."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    deep = np.argwhere(depth >= np.median(depth[mask]))
    costs = np.where(mask, 1.0 / np.maximum(depth, 1), -1)  # -1 is impassable for scikit-image
    lines = np.zeros_like(mask)
    parts, _ = ndimage.label(mask)
    for _ in range(number):
        start = deep[rng.integers(len(deep))]
        here = deep[parts[tuple(deep.T)] == parts[tuple(start)]]
        way, _ = route_through_array(costs, start, here[rng.integers(len(here))])
        lines[tuple(np.array(way[:LENGTH]).T)] = True
    return ndimage.binary_dilation(lines, np.ones((WIDTH, WIDTH), bool)) & mask


def draw_marks(subject: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``number`` scribbles on the subject and around it: labels, or -1, int32, (H, W)."""
    marks = np.full(subject.shape, -1, np.int32)
    marks[draw_scribbles(subject, number, rng)] = SUBJECT
    marks[draw_scribbles(~subject, number, rng)] = BACKGROUND
    return marks


class Guided:
    """DynaSeg's methods, which share what they compute from an image without its marks."""

    def __init__(self, seed: int) -> None:
        self.predictor: RegionPredictor = make_region_predictor(seed=seed)
        self.image, self.hierarchy = None, None
        self.marks, self.responses = None, None

    def hierarchy_of(self, image: np.ndarray, marks: np.ndarray) -> np.ndarray:
        """Spread marks over the hierarchy: what ``dynaseg cut`` does."""
        if self.image is not image:
            (segmentation,) = self.predictor([image])
            self.image, self.hierarchy = image, segmentation.hierarchy
        return spread_marks(self.hierarchy, marks, BACKGROUND) == SUBJECT

    def marked_fits(self, image: np.ndarray, marks: np.ndarray) -> np.ndarray:
        """Spread marks over a hierarchy whose fits see them too."""
        soft_maps = [soft_labels(response) for response in self._fit(image, marks)]
        hierarchy = build_hierarchy(image, soft_maps, (), PLAIN)
        return spread_marks(hierarchy, marks, BACKGROUND) == SUBJECT

    def marked_fit_alone(self, image: np.ndarray, marks: np.ndarray) -> np.ndarray:
        """Use only the votes of fits that see the marks (Kim et al., 3.4), without a hierarchy."""
        votes = [response[0].argmax(dim=0) == SUBJECT for response in self._fit(image, marks)]
        share = torch.stack(votes).float().mean(dim=0).numpy()
        return cv2.resize(share, image.shape[1::-1]) >= 0.5

    def _fit(self, image: np.ndarray, marks: np.ndarray) -> list[torch.Tensor]:
        if self.marks is marks:
            return self.responses
        channels = image_channels(working_image(image, PLAIN.max_pixels), 'texture')[None]
        networks = self.predictor.networks
        count = len(networks)
        fits = self.predictor.fitter.fit(
            networks,
            channels.expand(count, -1, -1, -1),
            marks=torch.from_numpy(marks).long()[None].expand(count, -1, -1),
        )
        self.marks, self.responses = marks, [fit.respond(channels) for fit in fits]
        return self.responses


def walk_pixels(image: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Segment by scikit-image's random walker on pixels (Grady 2006), with its default beta."""
    labels = random_walker(image, marks + 1, mode='cg_j', tol=1e-5, channel_axis=-1)
    return labels == SUBJECT + 1


def grab_cut(image: np.ndarray, marks: np.ndarray, unmarked: int = cv2.GC_PR_BGD) -> np.ndarray:
    """Segment by OpenCV's GrabCut (Rother et al. 2004), with 5 iterations."""
    mask = np.full(marks.shape, unmarked, np.uint8)
    mask[marks == SUBJECT], mask[marks == BACKGROUND] = cv2.GC_FGD, cv2.GC_BGD
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(image[..., ::-1].copy(), mask, None, *models, 5, cv2.GC_INIT_WITH_MASK)
    return (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)


def make_methods(seed: int) -> dict[str, Method]:
    """Make the rows of the table."""
    guided = Guided(seed)
    return {
        'DynaSeg: marks spread over the hierarchy': guided.hierarchy_of,
        'the same, and its fits see the marks': guided.marked_fits,
        'such fits alone': guided.marked_fit_alone,
        'GrabCut, unmarked pixels probably background': grab_cut,
        'GrabCut, unmarked pixels probably subject': lambda image, marks: grab_cut(
            image, marks, cv2.GC_PR_FGD
        ),
        'random walker on pixels': walk_pixels,
    }


def measure(folder: Path, split: str, seeds: int, every: int) -> None:
    """Measure all methods on all images, and print the table."""
    ious, seconds, images = defaultdict(list), defaultdict(list), set()
    for seed in range(seeds):
        methods = make_methods(seed)
        for path in sorted((folder / 'images' / split).glob('*.jpg'))[::every]:
            truth = loadmat(folder / 'groundTruth' / split / f'{path.stem}.mat')['groundTruth']
            subject = find_subject([cell['Segmentation'].item() for cell in truth.ravel()])
            if subject is None:
                continue
            images.add(path)
            image = imread(path)
            for number in NUMBERS:
                rng = np.random.default_rng([seed, number, *path.stem.encode()])
                marks = draw_marks(subject, number, rng)
                for name, method in methods.items():
                    start = time.perf_counter()
                    mask = method(image, marks)
                    seconds[name].append(time.perf_counter() - start)
                    ious[name, number].append((mask & subject).sum() / (mask | subject).sum())
    print(f'{len(images)} images, {seeds} seeds, IoU of the subject\n')
    print(f'| scribbles on each side | {" | ".join(map(str, NUMBERS))} | longest, s |')
    print('| --- |' + ' --- |' * (len(NUMBERS) + 1))
    for name in methods:
        cells = [f'{np.mean(ious[name, number]):.3f}' for number in NUMBERS]
        print(f'| {name} | {" | ".join(cells)} | {max(seconds[name]):.1f} |')


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path, help='folder of BSDS500')
    parser.add_argument('--split', default='val')
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--every', type=int, default=1, help='take every Nth image')
    options = parser.parse_args()
    torch.set_num_threads(1)
    measure(options.folder, options.split, options.seeds, options.every)


if __name__ == '__main__':
    main()

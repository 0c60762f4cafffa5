"""Predictors that take the place of fits; processes import them, too."""

import os
import signal
import socket
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from dynaseg.core.regions import RegionHierarchy
from dynaseg.predictor import Segmentation


def segment_one(image):
    """Four grey levels; the hierarchy joins their parts from left to right."""
    labels = np.unique(image.sum(axis=2) // 192, return_inverse=True)[1].reshape(image.shape[:2])
    clusters = int(labels.max()) + 1
    fit = SimpleNamespace(
        num_clusters=[clusters + 2, clusters + 1, clusters],
        iterations=2,
        min_clusters=1,
        stop_reason='converged',
    )
    return Segmentation(labels, fit)


def segment(images):
    return [segment_one(image) for image in images]


def make_chain(columns, altitudes):
    """An image of one row whose leaves, of some columns each, join from left to right."""
    leaves = np.repeat(np.arange(len(columns), dtype=np.int32), columns)[None]
    count = len(columns)
    parents = np.array([count, *range(count, 2 * count - 1), *range(count + 1, 2 * count - 1)])
    parents = np.append(parents, 2 * count - 2)
    return RegionHierarchy(leaves, parents, np.array([*[0.0] * count, *altitudes]), middle=1.0)


def make_blocks(shape=(24, 36), size=4, seed=0):
    """A hierarchy of random squares that join as a random spanning tree does."""
    rng = np.random.default_rng(seed)
    height, width = shape
    across = width // size
    leaves = (np.arange(height)[:, None] // size) * across + np.arange(width) // size
    count = int(leaves.max()) + 1
    grid = np.arange(count).reshape(-1, across)
    links = np.concatenate(
        [
            np.stack([grid[:, :-1].ravel(), grid[:, 1:].ravel()], axis=1),
            np.stack([grid[:-1].ravel(), grid[1:].ravel()], axis=1),
        ]
    )
    tops, parents, joined = list(range(2 * count - 1)), np.arange(2 * count - 1), count

    def find(node):
        while tops[node] != node:
            node = tops[node]
        return node

    for one, other in rng.permutation(links):
        one, other = find(one), find(other)
        if one != other:
            parents[[one, other]] = joined
            tops[one] = tops[other] = joined
            joined += 1
    altitudes = np.concatenate([np.zeros(count), np.sort(rng.uniform(0, 2.4, count - 1))])
    return RegionHierarchy(leaves.astype(np.int32), parents, altitudes, middle=1.0)


class Counting:
    """Segments, counts images, and raises an exception on one of them."""

    def __init__(self, raise_on=None, exception=KeyboardInterrupt):
        self.calls, self.raise_on, self.exception = 0, raise_on, exception

    def __call__(self, images):
        for _ in images:
            self.calls += 1
            if self.calls == self.raise_on:
                raise self.exception
        return segment(images)


class Failing:
    """Segments, but for batches in which an image begins with red."""

    def __call__(self, images):
        if any(tuple(image[0, 0]) == (255, 0, 0) for image in images):
            raise MemoryError('out of memory')
        return segment(images)


class Dying:
    """Segments; images that begin with red kill its process, some of them only once.

    Args:
        folder: where it notes the processes that it was in.
        times: how often red ones kill.
    """

    def __init__(self, folder, times):
        self.folder, self.times = Path(folder), times

    def __call__(self, images):
        (self.folder / f'{os.getpid()}.pid').touch()
        if any(tuple(image[0, 0]) == (255, 0, 0) for image in images):
            deaths = len(list(self.folder.glob('*.death')))
            if deaths < self.times:
                (self.folder / f'{os.getpid()}.death').touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return segment(images)


class Waiting:
    """Segments; at images that begin with red it calls at a port and waits for an answer."""

    gives_hierarchies = False

    def __init__(self, folder, port):
        self.folder, self.port = Path(folder), port

    def __call__(self, images):
        (self.folder / f'{os.getpid()}.pid').touch()
        if any(tuple(image[0, 0]) == (255, 0, 0) for image in images):
            with socket.create_connection(('localhost', self.port)) as connection:
                connection.recv(1)
        return segment(images)


class Raising:
    """Raises an error that is no failure of the image."""

    def __init__(self, error):
        self.error = error

    def __call__(self, images):
        raise self.error

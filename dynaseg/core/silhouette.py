"""The silhouette phase: how many clusters an image's colours form."""

from collections.abc import Sequence

import numpy as np
from skimage.color import rgb2lab

DEFAULT_RANGE = tuple(range(2, 11))


def estimate_num_clusters(
    image: np.ndarray,
    candidates: Sequence[int] = DEFAULT_RANGE,
    max_pixels: int = 500,
    seed: int = 0,
) -> tuple[int, dict[int, float]]:
    """Find the number of K-means clusters with the highest silhouette (DynaSeg, silhouette phase).

    An evenly spaced grid of the image's pixels is clustered, in CIE Lab.

    Args:
        image: RGB, uint8 or float in [0, 1], (H, W, 3).
        candidates: the numbers of clusters to try, each at least 2.
        max_pixels: approximate number of pixels to cluster.
        seed: seed of K-means; the same seed gives the same answer.

    Returns:
        The best number of clusters, and the silhouette of each number tried. An image of fewer than
        three colours has too few for any: its colours are counted, and nothing is tried.

    Raises:
        ValueError: if the image is not (H, W, 3), or a candidate is below 2.

    Examples:
        >>> stripes = np.repeat(np.eye(3, dtype=np.uint8) * 230, 10, axis=0)[:, None]
        >>> noise = np.random.default_rng(0).integers(0, 20, (30, 30, 3), dtype=np.uint8)
        >>> estimate_num_clusters(stripes + noise)[0]
        3
    """
    # Imported here, since it takes longer than the rest of the core without PyTorch.
    from sklearn.cluster import KMeans
    from sklearn.metrics import pairwise_distances, silhouette_score

    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f'image must be (H, W, 3), got {image.shape}')
    if not candidates or min(candidates) < 2:
        raise ValueError(f'candidates must be numbers of at least 2, got {candidates!r}')
    height, width = image.shape[:2]
    spacing = max(np.sqrt(height * width / max_pixels), max(height, width) / max_pixels)
    step = max(1, int(np.ceil(spacing)))
    # Start in the middle of the first step: the border of a photograph is rarely its subject.
    grid = image[min(step // 2, height - 1) :: step, min(step // 2, width - 1) :: step]
    pixels = rgb2lab(grid).reshape(-1, 3).astype(np.float32)
    colours = len(np.unique(pixels, axis=0))
    if colours < 3:
        return colours, {}
    distances = pairwise_distances(pixels)
    np.fill_diagonal(distances, 0)
    scores = {}
    for k in candidates:
        if k >= colours:
            continue
        labels = KMeans(k, n_init=1, random_state=seed).fit_predict(pixels)
        scores[k] = float(silhouette_score(distances, labels, metric='precomputed'))
    if not scores:
        return colours, {}
    return max(scores, key=scores.get), scores

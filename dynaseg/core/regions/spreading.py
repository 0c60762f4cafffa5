"""Labels that a person gave to some pixels, spread over a hierarchy of regions.

References:
    Grady: Random Walks for Image Segmentation, TPAMI 2006; with priors: CVPR 2005.
"""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

from dynaseg.core.regions.graph import build_graph
from dynaseg.core.regions.hierarchy import RegionHierarchy

SHARPNESS = 16.0  # how fast a border's conductance falls with the altitude that removes it
MAX_LABEL = np.iinfo(np.int32).max
# Sums of conductances that differ by more would lose the lower ones in double precision.
EXPONENTS = 2.0, 28.0
REST_ALTITUDE = 1.2  # relative; walks rarely cross higher borders


def spread_marks(
    hierarchy: RegionHierarchy, marks: np.ndarray, rest: int | None = None
) -> np.ndarray:
    """Give every pixel the label at which a random walk from it is most likely to end.

    The walk runs over the superpixels (Grady 2006). It crosses a border more easily the longer it
    is and the lower the altitude at which the hierarchy removes it; its conductance is
    length exp(-16 altitude / middle), with an exponent of -2 to -28. It ends where pixels are
    marked, a superpixel's label being the one most marked in it.

    Where a label means everything else, as the background of a cut-out does, a walk may also end at
    it anywhere (Grady 2005, with that label as the prior): as if every superpixel had a border with
    one marked so, of length one, at 1.2 times the middle, about detail .3. So an object without
    marks belongs to the rest.

    Args:
        hierarchy: of the image, (H, W).
        marks: label of each marked pixel, from 0, and -1 for the others, integers, (H, W).
        rest: the label that means everything else; None if there is none.

    Returns:
        Label of each pixel, int32, (H, W). Marked pixels keep theirs.

    Raises:
        ValueError: if the marks have another size, are no integers or beyond int32, no pixel is
            marked, or ``rest`` is not the label of a mark.

    Examples:
        >>> leaves = np.array([[0, 1, 2, 3, 3]], dtype=np.int32)
        >>> parents = np.array([4, 4, 5, 6, 5, 6, 6])
        >>> hierarchy = RegionHierarchy(leaves, parents, np.array([0, 0, 0, 0, 0.1, 1, 2]))
        >>> spread_marks(hierarchy, np.array([[1, -1, -1, -1, 0]]))
        array([[1, 1, 1, 0, 0]], dtype=int32)
    """
    if marks.shape != hierarchy.leaves.shape:
        raise ValueError(
            f'marks must have the size {hierarchy.leaves.shape} of the image, got {marks.shape}'
        )
    if marks.dtype.kind not in 'iu':
        raise ValueError(f'marks must be integers, -1 where there is none, got {marks.dtype}')
    marked = marks >= 0
    if not marked.any():
        raise ValueError('no pixel is marked')
    values = marks[marked]
    present = np.unique(values)
    if present[-1] > MAX_LABEL:
        raise ValueError(f'marks must be labels of 0 to {MAX_LABEL}, got {present[-1]}')
    labels = len(present)
    if rest is not None and rest not in present:
        raise ValueError(f'rest must be the label of a mark, got {rest}')
    counts = count_marks(hierarchy, np.flatnonzero(marked), np.searchsorted(present, values))
    chosen = counts.argmax(axis=1)
    is_seed = counts.any(axis=1)
    if not is_seed.all():
        free = ~is_seed
        conductances = _conductances(hierarchy)
        ends = np.zeros(labels)
        if rest is not None:
            ends[present == rest] = np.exp(-SHARPNESS * REST_ALTITUDE)
        degrees = conductances.sum(axis=1) + ends.sum()
        system = sparse.diags_array(degrees[free]) - conductances[free][:, free]
        targets = ends + conductances[free][:, is_seed] @ np.eye(labels)[chosen[is_seed]]
        reached = spsolve(system.tocsc(), targets).reshape(-1, labels)
        chosen[free] = reached.argmax(axis=1)
    return np.where(marked, marks, present[chosen][hierarchy.leaves]).astype(np.int32)


def count_marks(hierarchy: RegionHierarchy, places: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Count the marked pixels of each superpixel by their labels.

    Args:
        hierarchy: of the image.
        places: of the marked pixels, by rows, (M,).
        labels: of each, 0 to K - 1, (M,).

    Returns:
        The numbers, (L, K).
    """
    kinds = int(labels.max()) + 1
    keys = hierarchy.leaves.ravel()[places].astype(np.int64) * kinds + labels
    return np.bincount(keys, minlength=hierarchy.num_leaves * kinds).reshape(-1, kinds)


def _conductances(hierarchy: RegionHierarchy) -> sparse.csr_array:
    """Compute how easily a walk crosses the border of two superpixels, symmetric, (L, L)."""
    graph = build_graph(hierarchy.leaves)
    first, second = graph.borders.T
    altitudes = hierarchy.altitudes[hierarchy.common_nodes(first, second)]
    exponents = np.clip(SHARPNESS * altitudes / hierarchy.middle, *EXPONENTS)
    values = graph.lengths * np.exp(-exponents)
    count = hierarchy.num_leaves
    half = sparse.coo_array((values, (first, second)), shape=(count, count)).tocsr()
    return half + half.T

"""The data of the page's viewer, as scripts.

A page that is opened from disk may not read the pixels of images beside it. Scripts it may load:
they hold the photograph as a data URI, and the leaves as runs of pixels that lie one after another.
"""

import base64
import json

import numpy as np

from dynaseg.core.regions import RegionHierarchy
from dynaseg.photos.regions import measure_steps

LONGEST_RUN = 2**16 - 1
PNG_SIGNATURE = b'\x89PNG'


def render_viewer(
    name: str,
    size: tuple[int, int],
    photo: bytes,
    leaves: np.ndarray,
    hierarchy: RegionHierarchy,
    colours: np.ndarray | None = None,
) -> str:
    """Render the script that gives the viewer an image at the size of its display.

    Args:
        name: of the image's outputs.
        size: the photograph's own width and height.
        photo: JPEG, (h, w).
        leaves: leaf of each of its pixels, (h, w).
        hierarchy: of these leaves.
        colours: of the leaves' labels, RGB, (L, 3), where labels have colours of their own.

    Returns:
        JavaScript.
    """
    image = {
        'name': name,
        'size': list(map(int, size)),
        **_encode_image(photo, leaves),
        'parents': hierarchy.parents.tolist(),
        'steps': measure_steps(hierarchy).tolist(),
        'colours': None if colours is None else colours.tolist(),
    }
    return f'dynaseg.receive({json.dumps(image)});\n'


def render_full(name: str, photo: bytes, leaves: np.ndarray) -> str:
    """Render the script that gives the viewer an image at its own size, for what is saved.

    Args:
        name: of the image's outputs.
        photo: JPEG or PNG, (H, W).
        leaves: leaf of each of its pixels, (H, W).

    Returns:
        JavaScript.
    """
    return f'dynaseg.receive({json.dumps({"name": name, **_encode_image(photo, leaves)})});\n'


def encode_runs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Encode integers, at least one, as runs of equal ones.

    Args:
        values: integers from 0, any shape.

    Returns:
        The value of each run, little-endian uint32, and its length, little-endian uint16.

    Examples:
        >>> encode_runs(np.array([[7, 7], [7, 2]]))
        (array([7, 2], dtype=uint32), array([3, 1], dtype=uint16))
    """
    flat = values.ravel()
    starts = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(starts, prepend=0, append=flat.size)
    values = flat[np.concatenate([[0], starts])]
    parts = -(-lengths // LONGEST_RUN)  # longer runs are several
    last = np.cumsum(parts) - 1
    split = np.full(last[-1] + 1, LONGEST_RUN)
    split[last] = lengths - (parts - 1) * LONGEST_RUN
    return np.repeat(values, parts).astype('<u4'), split.astype('<u2')


def _encode_image(photo: bytes, leaves: np.ndarray) -> dict[str, object]:
    values, lengths = encode_runs(leaves)
    kind = 'png' if photo.startswith(PNG_SIGNATURE) else 'jpeg'
    return {
        'width': leaves.shape[1],
        'height': leaves.shape[0],
        'photo': f'data:image/{kind};base64,' + base64.b64encode(photo).decode(),
        'leaves': base64.b64encode(values.tobytes()).decode(),
        'lengths': base64.b64encode(lengths.tobytes()).decode(),
    }

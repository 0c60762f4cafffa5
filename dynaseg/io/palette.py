import colorsys

import numpy as np

GOLDEN_RATIO = 0.618033988749895


def distinct_palette(num_colours: int) -> np.ndarray:
    """Make colours of which neighbours in the list are far apart in hue.

    Args:
        num_colours: how many.

    Returns:
        RGB colours, uint8, (num_colours, 3).

    Examples:
        >>> distinct_palette(2)
        array([[230,  80,  80],
               [ 67, 103, 191]], dtype=uint8)
    """
    colours = [
        colorsys.hsv_to_rgb(
            index * GOLDEN_RATIO % 1, 0.65 - 0.2 * (index // 2 % 2), 0.9 - 0.15 * (index % 3)
        )
        for index in range(num_colours)
    ]
    return np.round(np.array(colours).reshape(-1, 3) * 255).astype(np.uint8)

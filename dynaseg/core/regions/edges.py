"""Strength of the edges of an image, from which superpixels and their borders are made."""

from dataclasses import dataclass

import numpy as np

from dynaseg.core.regions.filters import enlarge, gradient_magnitude, halve

CONTRAST = 5.0  # gradient of Lab / 100 to strength
COLOUR_CONTRAST = 10.0
SCALES = (1.0, 2.0)
COLOUR_SCALE = 2.0  # on the map of half size
COARSE_WEIGHT = 0.5
COLOUR_WEIGHT = 0.25


@dataclass(frozen=True)
class EdgeMaps:
    """Edges of an image.

    Attributes:
        strength: of the edges of all scales, 0 to 1.75, (H, W).
        fine: of those of the finest scale, 0 to 1, (H, W); its mean over a region is the strength
            of the region's texture.
    """

    strength: np.ndarray
    fine: np.ndarray


def find_edges(lab: np.ndarray) -> EdgeMaps:
    """Find the edges of an image from its colours.

    With G of :func:`~dynaseg.core.regions.filters.gradient_magnitude`, E = min(5 G(Lab, 1), 1)
    + .5 min(5 G(Lab, 2), 1) + .25 min(10 G(ab at half the size, 2), 1).

    Args:
        lab: Lab / 100, float32, (3, H, W).

    Returns:
        The edges.
    """
    fine, coarse = (np.minimum(CONTRAST * gradient_magnitude(lab, sigma), 1.0) for sigma in SCALES)
    colour = np.minimum(COLOUR_CONTRAST * gradient_magnitude(halve(lab[1:]), COLOUR_SCALE), 1.0)
    strength = fine + COARSE_WEIGHT * coarse
    strength += COLOUR_WEIGHT * enlarge(colour[None], fine.shape)[0]
    return EdgeMaps(strength, fine)

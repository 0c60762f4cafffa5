"""Settings of hierarchies of regions."""

from dataclasses import dataclass, field, replace

from dynaseg.core.regions.merging import MergingCost


@dataclass(frozen=True)
class RegionSettings:
    """How a hierarchy of regions is made.

    Making one uses no labels. The defaults were chosen on the annotated train images of BSDS500.

    Attributes:
        max_pixels: larger images are processed at about this many pixels.
        min_depth: of a superpixel's basin in the edges; see
            :func:`~dynaseg.core.regions.superpixels.make_superpixels`.
        soft_contrast: weight, in a border's strength, of the distance of the soft labels beside it.
        soft_fine: weight of the gradient of the soft labels.
        soft_coarse: weight of the same at twice the scale.
        colour_contrast: weight of the distance of the mean colours beside a border.
        feature_contrast: weight of the distance of a feature level beside a border.
        contrast_level: the index of that level.
        colour: weight of the colour histogram.
        gradient: weight of the histogram of the gradient.
        bands: weight of the histograms of the differences of Gaussians.
        orientation: weight of the histogram of directions.
        patterns: weight of the whitened local patterns.
        features: weight of each feature level, if there are any.
        cost: how these are combined with borders and areas into a cost.
        middle: the cost at detail .5.
    """

    max_pixels: int = 250_000
    min_depth: float = 0.05
    soft_contrast: float = 0.6
    soft_fine: float = 0.5
    soft_coarse: float = 0.2
    colour_contrast: float = 0.0
    feature_contrast: float = 0.0
    contrast_level: int = 1
    colour: float = 0.75
    gradient: float = 0.5
    bands: float = 0.3
    orientation: float = 0.3
    patterns: float = 0.3
    features: tuple[float, ...] = ()
    cost: MergingCost = field(default_factory=MergingCost)
    middle: float = 1.23

    def __post_init__(self) -> None:
        levels = len(self.features)
        if self.feature_contrast and levels and not 0 <= self.contrast_level < levels:
            raise ValueError(
                f'contrast_level must be the index of one of {levels} levels of features, '
                f'got {self.contrast_level!r}'
            )
        for name in ('max_pixels', 'min_depth', 'middle'):
            if not getattr(self, name) > 0:
                raise ValueError(f'{name} must be positive, got {getattr(self, name)!r}')
        histograms = (self.colour, self.gradient, self.bands, self.orientation)
        weights = (*histograms, self.patterns, *self.features)
        if not (min(weights) >= 0 and max(weights) > 0):
            raise ValueError(
                f'colour, gradient, bands, orientation, patterns and features must be at least 0, '
                f'and one of them positive, got {weights}'
            )


PLAIN = RegionSettings()
DEEP = replace(
    PLAIN,
    colour_contrast=0.45,
    feature_contrast=0.3,
    colour=0.8,
    gradient=0.8,
    patterns=0.0,
    features=(0.15, 0.45, 0.2, 0.5),
    cost=MergingCost(area_power=0.03, shape_power=0.05, texture=1.25),
    middle=2.5,
)

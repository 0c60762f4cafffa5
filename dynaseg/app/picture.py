"""A picture that a person works on: its regions at any detail, and what is selected."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from dynaseg.core.regions import RegionHierarchy
from dynaseg.core.regions.spreading import spread_marks
from dynaseg.photos.drawing import draw_overlay, find_outlines
from dynaseg.photos.marks import BACKGROUND, SUBJECT, label_colours
from dynaseg.photos.outputs import DISPLAY_SIZE

SELECTED = (255, 190, 0)  # the colour of the outline
DIMMED = 0.35


@dataclass
class Picture:
    """An image, its hierarchy of regions, and the pixels that are selected.

    Attributes:
        file: name of its file.
        image: RGB, uint8, (H, W, 3).
        hierarchy: its regions.
        selected: bool, (H, W).
    """

    file: str
    image: np.ndarray
    hierarchy: RegionHierarchy
    selected: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.selected = np.zeros(self.image.shape[:2], dtype=bool)

    @property
    def name(self) -> str:
        """Name of what is saved of it."""
        return Path(self.file).stem

    @cached_property
    def display(self) -> np.ndarray:
        """The image as it is shown: RGB, uint8, (h, w, 3), at most 1600 pixels long."""
        return np.asarray(Image.fromarray(self.image).resize(self._display_size()))

    def toggle(self, x: float, y: float, detail: float) -> None:
        """Select the region under a point, or deselect it if all of it is selected.

        Args:
            x: distance of the point from the left, in pixels of the display.
            y: distance from the top, as above.
            detail: of the regions.
        """
        width, height = self._display_size()
        row = min(int(y * self.image.shape[0] / height), self.image.shape[0] - 1)
        column = min(int(x * self.image.shape[1] / width), self.image.shape[1] - 1)
        regions = self.hierarchy.regions(detail)
        region = regions == regions[row, column]
        self.selected = (
            self.selected & ~region if self.selected[region].all() else (self.selected | region)
        )

    def select_marked(self, painted: np.ndarray) -> None:
        """Select the subject painted green, separated from what is painted red.

        Args:
            painted: RGBA, uint8, of any size.

        Raises:
            ValueError: if one of the two is missing, or something has another colour.
        """
        marks = label_colours(painted)
        if set(np.unique(marks)) - {-1} != {SUBJECT, BACKGROUND}:
            raise ValueError('paint green on the subject and red on what is around it')
        rows, columns = (
            np.arange(length) * painted.shape[axis] // length
            for axis, length in enumerate(self.selected.shape)
        )
        labels = spread_marks(self.hierarchy, marks[rows][:, columns], BACKGROUND)
        self.selected = labels == SUBJECT

    def draw(self, detail: float) -> np.ndarray:
        """Draw the regions at a detail or, if pixels are selected, the selection.

        Returns:
            RGB, uint8, (h, w, 3), of the size of the display.
        """
        display = self.display
        rows, columns = (
            np.arange(length) * self.selected.shape[axis] // length
            for axis, length in enumerate(display.shape[:2])
        )
        regions = self.hierarchy.regions(detail)[np.ix_(rows, columns)]
        if not self.selected.any():
            return draw_overlay(display, regions)
        selected = self.selected[np.ix_(rows, columns)]
        drawn = np.where(selected[..., None], display, (DIMMED * display).astype(np.uint8))
        drawn[find_outlines(regions) & ~selected] = 128
        drawn[find_outlines(selected.astype(np.int32))] = SELECTED
        return drawn

    def describe(self, detail: float) -> str:
        """Say how many regions there are, and how much is selected."""
        count = self.hierarchy.num_regions(self.hierarchy.altitude(detail))
        share = self.selected.mean()
        return f'{count:,} region{"s" * (count != 1)}' + (
            f', {share:.1%} of the picture selected' if share else ''
        )

    def _display_size(self) -> tuple[int, int]:
        height, width = self.image.shape[:2]
        scale = min(1, DISPLAY_SIZE / max(height, width))
        return max(1, round(scale * width)), max(1, round(scale * height))

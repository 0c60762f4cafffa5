"""COCO-Stuff's ids and the 27 classes they form in its label hierarchy."""

import numpy as np
from mmseg.datasets.builder import PIPELINES

from dynaseg.mmseg.datasets.pipelines.table import IGNORE_INDEX, UNKNOWN, LoadByTable

NUM_THINGS = 12

COCO_STUFF27_CLASSES = (
    'electronic-thing',
    'appliance-thing',
    'food-thing',
    'furniture-thing',
    'indoor-thing',
    'kitchen-thing',
    'accessory-thing',
    'animal-thing',
    'outdoor-thing',
    'person-thing',
    'sports-thing',
    'vehicle-thing',
    'ceiling-stuff',
    'floor-stuff',
    'food-stuff',
    'furniture-stuff',
    'rawmaterial-stuff',
    'textile-stuff',
    'wall-stuff',
    'window-stuff',
    'building-stuff',
    'ground-stuff',
    'plant-stuff',
    'sky-stuff',
    'solid-stuff',
    'structural-stuff',
    'water-stuff',
)
COCO_STUFF27_GROUPS = {
    'things': range(NUM_THINGS),
    'stuff': range(NUM_THINGS, len(COCO_STUFF27_CLASSES)),
}

# The class of each id from 0 to 181, in the order of COCO-Stuff's ids.
# fmt: off
FINE_TO_COARSE = (
    9, 11, 11, 11, 11, 11, 11, 11, 11, 8, 8, 8, 8, 8, 8, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 6, 6, 6, 6, 6, 6, 6, 6, 10, 10, 10, 10, 10, 10, 10,
    10, 10, 10, 5, 5, 5, 5, 5, 5, 5, 5, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 0, 0, 0, 1, 1, 1,
    1, 1, 1, 4, 4, 4, 4, 4, 4, 4, 4, 17, 17, 22, 20, 20, 22, 15, 25, 16,
    13, 12, 12, 17, 17, 23, 15, 15, 17, 15, 21, 15, 25, 13, 13, 13, 13, 13, 22, 26,
    14, 14, 15, 22, 21, 21, 24, 20, 22, 15, 17, 16, 15, 22, 24, 21, 17, 25, 16, 21,
    17, 22, 16, 21, 21, 25, 21, 26, 21, 24, 20, 17, 14, 21, 26, 15, 23, 20, 21, 24,
    15, 24, 22, 25, 15, 20, 17, 17, 22, 14, 18, 18, 18, 18, 18, 18, 18, 26, 26, 19,
    19, 24,
)
# fmt: on


def coco_stuff27_table(categories: str = 'all') -> np.ndarray:
    """Make the table from raw COCO-Stuff ids to classes.

    Args:
        categories: ``'all'``, ``'stuff'`` (things ignored; classes 0 to 14) or ``'thing'`` (stuff
            ignored; classes 0 to 11).

    Returns:
        The class of every possible pixel value, uint8, (256,): 255 for ignored ids, 254 for ids
        that COCO-Stuff does not have.

    Raises:
        ValueError: if ``categories`` is unknown.

    Examples:
        >>> coco_stuff27_table('all')[[0, 156, 255]]
        array([  9,  23, 255], dtype=uint8)
    """
    if categories not in ('all', 'stuff', 'thing'):
        raise ValueError(f"categories must be 'all', 'stuff' or 'thing', got {categories!r}")
    classes = np.array(FINE_TO_COARSE)
    if categories == 'stuff':
        classes = np.where(classes >= NUM_THINGS, classes - NUM_THINGS, IGNORE_INDEX)
    elif categories == 'thing':
        classes = np.where(classes < NUM_THINGS, classes, IGNORE_INDEX)
    table = np.full(256, UNKNOWN, dtype=np.uint8)
    table[: len(classes)] = classes
    table[IGNORE_INDEX] = IGNORE_INDEX
    return table


@PIPELINES.register_module()
class LoadCocoStuff27Annotations(LoadByTable):
    """Loads a COCO-Stuff mask and maps its ids to classes by one table lookup.

    Args:
        categories: see :func:`coco_stuff27_table`.
    """

    def __init__(self, categories: str = 'all') -> None:
        super().__init__(coco_stuff27_table(categories), 'COCO-Stuff ids, 0 to 181 or 255')
        self.categories = categories
        groups = {
            'all': COCO_STUFF27_CLASSES,
            'thing': COCO_STUFF27_CLASSES[:NUM_THINGS],
            'stuff': COCO_STUFF27_CLASSES[NUM_THINGS:],
        }
        self.classes = groups[categories]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(categories='{self.categories}')"

"""The legend of a page: what the labels of a trained network are, over all images."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dynaseg.io.crops import choose_box, veil
from dynaseg.io.palette import distinct_palette
from dynaseg.io.reading import ImageReadError, read_image
from dynaseg.io.writing import encode_jpeg, read_label_map
from dynaseg.photos.outputs import output_paths

NUM_EXAMPLES = 4  # of each label
NUM_KEPT = 100  # of each label, some of which may be forgotten
CROP_SIZE = 144  # pixels
COLUMNS = 40  # of crops in the picture of them all

Example = tuple[float, str, tuple[int, int, float]]  # -score, outputs' name, x, y and radius


class Legend:
    """Labels that mean the same in every image: how much there is of each, and where it is seen.

    Args:
        names: of the labels, from 0.

    Examples:
        >>> legend = Legend(['road', 'sky'])
        >>> record = {'name': 'a', 'size': [8, 6], 'shares': {'sky': 1.0}, 'examples': {}}
        >>> legend.note(record)
        >>> [(entry['name'], entry['share'], entry['images']) for entry in legend.entries()]
        [('sky', 1.0, 1)]
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self._num_images = 0
        self._shares, self._images = Counter(), Counter()
        self._examples: dict[str, list[Example]] = defaultdict(list)
        self._crops: dict[Example, np.ndarray] = {}

    def note(self, record: dict, times: int = 1) -> None:
        """Note the record of a segmented image; with ``times=-1``, forget it."""
        if 'error' in record:
            return
        self._num_images += times
        for name, share in record['shares'].items():
            self._shares[name] += times * share
            self._images[name] += times
        for name, (x, y, radius) in record['examples'].items():
            example = (-radius / min(record['size']), record['name'], (x, y, radius))
            others = [one for one in self._examples[name] if one != example]
            self._examples[name] = sorted(others + [example] * (times > 0))[:NUM_KEPT]

    def entries(self) -> list[dict]:
        """Describe the labels that any image has, the most frequent first.

        Returns:
            ``name``, ``label``, ``colour``, the mean ``share`` of the images, the number of
            ``images`` that have it, and ``crops``, the left upper corners of its examples in
            :meth:`draw`.
        """
        colours = distinct_palette(len(self.names)).tolist()
        present = [
            {
                'name': name,
                'label': label,
                'colour': colours[label],
                'share': self._shares[name] / self._num_images,
                'images': self._images[name],
            }
            for label, name in enumerate(self.names)
            if self._images[name]
        ]
        places = {(name, number): place for place, (name, number, _) in enumerate(self._all())}
        for entry in present:
            entry['crops'] = [
                _corner(place) for (name, _), place in places.items() if name == entry['name']
            ]
        return sorted(present, key=lambda entry: -entry['share'])

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of :meth:`draw`."""
        number = max(1, sum(1 for _ in self._all()))
        return CROP_SIZE * COLUMNS, CROP_SIZE * math.ceil(number / COLUMNS)

    def draw(self, out_dir: Path) -> bytes:
        """Draw all examples, squares in rows of 40, from the outputs; JPEG."""
        examples = [(self.names.index(name), example) for name, _, example in self._all()]
        picture = Image.new('RGB', self.size, 'white')
        crops = {}
        for place, (label, example) in enumerate(examples):
            crop = self._crops.get(example)
            crops[example] = _cut(out_dir, label, example) if crop is None else crop
            picture.paste(Image.fromarray(crops[example]), _corner(place))
        self._crops = crops
        return encode_jpeg(picture)

    def _all(self) -> Iterator[tuple[str, int, Example]]:
        for name in self.names:
            for number, example in enumerate(self._examples[name][:NUM_EXAMPLES]):
                yield name, number, example


def _corner(place: int) -> tuple[int, int]:
    return CROP_SIZE * (place % COLUMNS), CROP_SIZE * (place // COLUMNS)


def _cut(out_dir: Path, label: int, example: Example) -> np.ndarray:
    """Cut an example out of an image's outputs, RGB, (144, 144, 3); white if they are gone."""
    _, name, (x, y, radius) = example
    paths = output_paths(out_dir, name)
    size = (CROP_SIZE, CROP_SIZE)
    try:
        photo = Image.fromarray(read_image(paths['thumbnails']))
        mask = Image.fromarray(read_label_map(paths['labels']) == label)
    except (ImageReadError, OSError):
        return np.full((*size, 3), 255, np.uint8)
    box = choose_box(mask.size, (x, y), radius)
    scale = photo.width / mask.width, photo.height / mask.height
    box_of_photo = [place * scale[index % 2] for index, place in enumerate(box)]
    crop = photo.resize(size, Image.Resampling.BICUBIC, box_of_photo)
    return veil(np.asarray(crop), np.asarray(mask.resize(size, Image.Resampling.NEAREST, box)))

"""The page on which a person names clusters."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dynaseg.analysis.survey import Cluster, Example
from dynaseg.io.crops import choose_box, veil
from dynaseg.io.files import write_file
from dynaseg.io.pages import load_templates, write_assets
from dynaseg.io.palette import distinct_palette
from dynaseg.io.reading import read_image
from dynaseg.io.writing import encode_jpeg

TEMPLATES = load_templates(Path(__file__).parent)
ASSETS = Path(__file__).with_name('assets')
PICTURE_SIZE = 640  # pixels of the longer side
CROP_SHARE = 0.25  # least half side of a crop, as a share of the picture's shorter side


def write_naming_page(
    out_dir: Path,
    clusters: Sequence[Cluster],
    files: Sequence[Path],
    maps: Sequence[np.ndarray],
    suggestions: Sequence[str] = (),
    names: Mapping[int, str] | None = None,
    facts: Mapping[str, str] | None = None,
) -> Path:
    """Write the page for naming clusters, and its pictures.

    Args:
        out_dir: folder of the page, ``naming.html``, its ``assets`` and ``examples``.
        clusters: as :func:`dynaseg.analysis.survey.survey_clusters` returns them.
        files: the images.
        maps: their label maps.
        suggestions: names that are offered from the start.
        names: names that clusters already have.
        facts: ``title``, shown on the page; ``made_from`` and ``checkpoint_sha256``, saved with the
            names. All are optional.

    Returns:
        Path of the page. It needs no network, and saves the given names as ``names.json``, which
        :func:`dynaseg.io.names.read_names` reads.
    """
    facts = dict(facts or {})
    shown = {}  # clusters to show in each image
    for label, cluster in enumerate(clusters):
        for example in (*cluster.surest, *cluster.unsure):
            shown.setdefault(example.image, set()).add(label)
    sizes = {}
    for image, labels in shown.items():
        photo = Image.fromarray(read_image(files[image]))
        photo.thumbnail((PICTURE_SIZE, PICTURE_SIZE))
        sizes[image] = photo.size
        label_map = Image.fromarray(maps[image].astype(np.int32))
        label_map = np.asarray(label_map.resize(photo.size, Image.Resampling.NEAREST))
        for label in sorted(labels):
            picture = veil(np.asarray(photo), label_map == label)
            path = out_dir / _address(label, image)
            write_file(path, encode_jpeg(Image.fromarray(picture)))
    colours = distinct_palette(len(clusters)).tolist()
    data = {
        'clusters': [
            {
                'colour': colours[label],
                'share': cluster.share,
                'images': len(cluster.images),
                'surest': [_describe(label, one, sizes) for one in cluster.surest],
                'unsure': [_describe(label, one, sizes) for one in cluster.unsure],
                'borders': cluster.borders,
                'resembles': cluster.resembles,
            }
            for label, cluster in enumerate(clusters)
        ],
        'images': len(files),
        'suggestions': [name.strip() for name in suggestions],  # ADE20K has 'bed '
        'names': {str(cluster): name for cluster, name in (names or {}).items()},
        'madeFrom': facts.get('made_from', 'a person, from pictures'),
        'checkpoint': facts.get('checkpoint_sha256'),
    }
    # By it the browser finds the names again: of a checkpoint, whatever pictures the page shows.
    known = [data['checkpoint'], len(clusters), data['names']] if data['checkpoint'] else data
    data['id'] = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]
    write_assets(ASSETS, out_dir)
    page = TEMPLATES.get_template('naming.html').render(data=data, title=facts.get('title', ''))
    write_file(out_dir / 'naming.html', page)
    return out_dir / 'naming.html'


def _address(label: int, image: int) -> str:
    return f'examples/{label:03d}/{image:04d}.jpg'


def _describe(label: int, example: Example, sizes: Mapping[int, tuple[int, int]]) -> dict:
    width, height = size = sizes[example.image]
    centre = example.centre[0] * width, example.centre[1] * height
    box = choose_box(size, centre, example.radius * min(size), CROP_SHARE)
    return {
        'picture': _address(label, example.image),
        'size': size,
        'box': [box[0], box[1], box[2] - box[0], box[3] - box[1]],
    }

"""Runs of the loop over files, and checks of what they leave."""

import json

import numpy as np
from PIL import Image
from stand_ins import segment

from dynaseg.photos.finding import find_images
from dynaseg.photos.outputs import DISPLAY_SIZE, OUTPUTS
from dynaseg.photos.regions import RegionChoice
from dynaseg.photos.results import Results
from dynaseg.photos.segment import segment_files

SETTINGS = {'version': '0', 'config': 'a.py', 'seed': 0}
CHOICE = RegionChoice(min_area=0)


def run(inputs, out_dir, predictor=segment, settings=SETTINGS, overwrite=False, **options):
    with Results(out_dir, settings, overwrite) as results:
        options = {'choice': CHOICE, **options}
        return segment_files(find_images(inputs), results, predictor, **options)


def load(out_dir):
    """The last settings, and the last record of each file."""
    lines = [json.loads(line) for line in (out_dir / 'results.jsonl').read_text().splitlines()]
    settings = [line['settings'] for line in lines if 'settings' in line]
    records = {line['file']: line for line in lines if 'file' in line}
    return settings[-1], list(records.values())


def list_outputs(out_dir):
    return {
        folder: sorted(file.name for file in (out_dir / folder).glob('*')) for folder in OUTPUTS
    }


def check_outputs(out_dir):
    """Check that all there is belongs to a record, is whole, and has the size recorded."""
    done = [record for record in load(out_dir)[1] if 'error' not in record]
    assert list_outputs(out_dir) == {
        folder: sorted(record['name'] + suffix for record in done)
        for folder, suffix in OUTPUTS.items()
    }
    others = {file.name for file in out_dir.iterdir()} - {*OUTPUTS, '.claims.jsonl'}
    assert others == {'results.jsonl', 'index.html', 'assets'}
    for record in done:
        check_images(out_dir, record)
    return done


def check_images(out_dir, record):
    width, height = record['size']
    sizes = {'labels': (width, height), 'regions': (width, height)}
    sizes['hierarchy'] = (width, 2 * height)
    scale = min(1, DISPLAY_SIZE / max(width, height))
    sizes['overlays'] = sizes['thumbnails'] = tuple(
        max(1, round(scale * length)) for length in (width, height)
    )
    for folder, size in sizes.items():
        with Image.open(out_dir / folder / (record['name'] + OUTPUTS[folder])) as image:
            image.load()
            assert image.size == size, folder
    for folder in ('viewer', 'viewer_full'):
        text = (out_dir / folder / (record['name'] + '.js')).read_text()
        assert text.startswith('dynaseg.receive({')
        assert text.endswith('});\n')


def read_map(path):
    with Image.open(path) as image:
        return np.array(image)

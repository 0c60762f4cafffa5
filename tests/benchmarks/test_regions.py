import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat


@pytest.fixture
def bsds(tmp_path):
    """Two images in BSDS500's layout, each of two blocks, annotated by two people."""
    images, truth = tmp_path / 'images' / 'val', tmp_path / 'groundTruth' / 'val'
    images.mkdir(parents=True)
    truth.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ('10', '20'):
        segments = np.ones((40, 60), np.uint16)
        segments[:, 25:] = 2
        image = np.where(segments[..., None] == 1, (200, 60, 40), (30, 90, 180))
        image = np.clip(image + rng.normal(0, 5, image.shape), 0, 255).astype(np.uint8)
        Image.fromarray(image).save(images / f'{name}.jpg', quality=95)
        cells = np.empty((1, 2), object)
        for person in range(2):
            cells[0, person] = {'Segmentation': segments}
        savemat(truth / f'{name}.mat', {'groundTruth': cells})
    return tmp_path


def run(root, script, *arguments):
    command = [sys.executable, root / 'benchmarks' / script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_rows_and_their_differences(root, bsds):
    deep = 'ImageNet features, fits on texture and deep'
    rows = ('without fits', 'fits on texture', deep, 'Felzenszwalb', 'people, leave one out')
    printed = run(root, 'regions.py', bsds, '--split', 'val', '--rows', *rows)
    table = {line.split(' | ')[0].strip('| '): line for line in printed.splitlines() if '|' in line}
    assert set(rows) <= set(table)
    # Two flat blocks are found, and people agree.
    for row in ('without fits', 'fits on texture', 'people, leave one out'):
        covering = table[row].split(' | ')[1]
        assert all(float(value) > 0.97 for value in covering.split(' / '))
    assert '- fits on texture: covering_ODS' in printed


def test_parts_are_timed_and_labels_compared(root, bsds):
    printed = run(root, 'region_parts.py', '--data-root', bsds)
    for part in ('channels', 'fits', 'predictions', 'hierarchy', 'all'):
        assert f' {part} ' in printed
    assert printed.count('clusters of whole regions') == 2

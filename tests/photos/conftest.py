import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# stand_ins.py, which is imported here and by processes that unpickle its classes.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def photos(tmp_path):
    """A folder of five photographs, a.png to e.png, 16 x 12 pixels."""
    folder = tmp_path / 'photos'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in 'abcde':
        pixels = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f'{name}.png')
    return folder

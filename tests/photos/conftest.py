import io
import random
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# stand_ins.py, which is imported here and by processes that unpickle its classes.
sys.path.insert(0, str(Path(__file__).parent))

ORIENTATION = 0x0112


def encode(image, file_format, **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def make_valid_files():
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[0x011A] = 72.0
    grey = image.convert('L')
    yield from (
        encode(image, 'JPEG', exif=exif),
        encode(image, 'JPEG', progressive=True),
        encode(image.convert('CMYK'), 'JPEG'),
        encode(image, 'WEBP', exif=exif),
        encode(image.convert('RGBA'), 'WEBP', lossless=True),
        encode(image, 'WEBP', save_all=True, append_images=[image.rotate(90)]),
        encode(image, 'PNG', exif=exif),
        encode(image, 'PNG', save_all=True, append_images=[image.rotate(90)]),
        encode(Image.fromarray(noise[..., 0].astype(np.uint16) * 200), 'PNG'),
        encode(image.quantize(8), 'PNG', transparency=0),
    )
    for compression in (None, 'tiff_lzw', 'tiff_adobe_deflate', 'packbits', 'jpeg'):
        yield encode(image, 'TIFF', compression=compression, exif=exif)
    yield encode(image.convert('1'), 'TIFF', compression='group4')
    for mode in ('I', 'F', 'I;16'):
        yield encode(grey.convert(mode), 'TIFF')
    for mode in ('CMYK', 'LAB', 'LA', 'P'):
        other = Image.new('LAB', (50, 40)) if mode == 'LAB' else image.convert(mode)
        yield encode(other, 'TIFF')
    for mode in ('1', 'L', 'P', 'RGB', 'RGBA'):
        yield encode(image.convert(mode), 'BMP')
        yield encode(image.convert(mode), 'PNG')


def damage(content, rng):
    content = bytearray(content)
    place = rng.randrange(len(content))
    kind = rng.randrange(5)
    if kind == 0:
        del content[place:]
    elif kind == 1:
        del content[place : place + rng.choice([1, 2, 4, 50])]
    elif kind == 2:
        content[place:place] = rng.randbytes(rng.choice([1, 4, 40]))
    else:  # single bytes: anywhere, or in the header, where they do most harm
        end = len(content) if kind == 3 else min(len(content), 200)
        for _ in range(rng.choice([1, 2, 3, 10])):
            content[rng.randrange(end)] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])
    return bytes(content)


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


@pytest.fixture(scope='session')
def valid_files():
    """Contents of valid files of every format and of many modes, 50 x 40 pixels."""
    return list(make_valid_files())


@pytest.fixture
def damaged_files(valid_files):
    """Makes damaged contents of files, the same ones each time."""

    def make(number):
        rng = random.Random(0)
        return [damage(valid_files[index % len(valid_files)], rng) for index in range(number)]

    return make

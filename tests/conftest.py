import importlib.util
import io
import os
import random
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

ROOT = Path(__file__).resolve().parents[1]
ORIENTATION = 0x0112
BROWSER_OPTIONS = (
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
)


@pytest.fixture(scope='session')
def root():
    """The repository."""
    return ROOT


@pytest.fixture(scope='session')
def test_data():
    """The folder of real data named by DYNASEG_TEST_DATA."""
    folder = os.environ.get('DYNASEG_TEST_DATA')
    if not folder:
        pytest.skip('real data is needed: set DYNASEG_TEST_DATA to its folder')
    return Path(folder)


@pytest.fixture(scope='session')
def load_tool():
    """Imports one of the scripts in tools/ as a module."""

    def load(name):
        spec = importlib.util.spec_from_file_location(f'tool_{name}', ROOT / 'tools' / f'{name}.py')
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # processes of a pool find its functions
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def sample_data(tmp_path, load_tool):
    """A data root in COCO-Stuff's layout: four training and three validation images, 48 x 40."""
    folder = tmp_path / 'sample'
    load_tool('make_sample_data').make_sample_data(folder, 4, 3, (48, 40), seed=0)
    return folder


@pytest.fixture(scope='session')
def start_browser():
    """Starts browsers of a width, which save into a folder."""
    webdriver = pytest.importorskip('selenium.webdriver', reason='needs selenium')
    programs = [shutil.which(name) for name in ('chromium', 'chromedriver')]
    if not all(programs):
        pytest.skip('needs chromium and chromedriver')
    drivers = []

    def start(downloads, width, height):
        options = webdriver.ChromeOptions()
        options.binary_location = programs[0]
        for option in (*BROWSER_OPTIONS, f'--window-size={width},{height}'):
            options.add_argument(option)
        options.add_experimental_option('prefs', {'download.default_directory': str(downloads)})
        if width < 500:
            metrics = {'width': width, 'height': height, 'pixelRatio': 2, 'touch': True}
            options.add_experimental_option('mobileEmulation', {'deviceMetrics': metrics})
        options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
        service = webdriver.ChromeService(programs[1])
        drivers.append(webdriver.Chrome(options=options, service=service))
        return drivers[-1]

    yield start
    for driver in drivers:
        driver.quit()


@pytest.fixture
def swapped_profile():
    """A profile of sRGB's, but for its name, in which red is meant as blue and blue as red."""
    content = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    content = content.replace('sRGB'.encode('utf-16-be'), 'mine'.encode('utf-16-be'))
    return content.replace(b'rXYZ', b'....').replace(b'bXYZ', b'rXYZ').replace(b'....', b'bXYZ')


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

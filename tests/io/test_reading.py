import io
import os
import struct
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from dynaseg.io.reading import ImageReadError, read_image

ORIENTATION = 0x0112


@pytest.fixture
def picture():
    """A smooth picture, so that lossy formats keep its colours."""
    y, x = np.mgrid[:24, :40]
    return np.stack([6 * x, 10 * y, 120 + 0 * x], axis=-1).astype(np.uint8)


def encode(image, file_format, **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def save(tmp_path, image, name='image.png', **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


@pytest.mark.parametrize(
    ('name', 'tolerance'),
    [
        ('a.jpg', 12),
        ('a.jpeg', 12),
        ('a.png', 0),
        ('a.tif', 0),
        ('a.tiff', 0),
        ('a.webp', 25),
        ('a.bmp', 0),
        ('a.gif', 60),
        ('a.avif', 25),
        ('a.heic', 25),
    ],
)
def test_reads_every_format(tmp_path, picture, name, tolerance):
    image = read_image(save(tmp_path, Image.fromarray(picture), name))
    assert image.dtype == np.uint8
    assert image.shape == (24, 40, 3)
    assert np.abs(image.astype(int) - picture).max() <= tolerance


def test_heic_without_its_library_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr('dynaseg.io.reading.pillow_heif', None)
    monkeypatch.setattr('dynaseg.io.reading.FORMATS', ('JPEG', 'PNG'))
    (tmp_path / 'a.HEIC').write_bytes(b'\0\0\0\x18ftypheic')
    with pytest.raises(ImageReadError, match='pip install pillow-heif'):
        read_image(tmp_path / 'a.HEIC')


def test_format_is_told_by_content_not_by_name(tmp_path, picture):
    path = tmp_path / 'really-a-png.jpg'
    path.write_bytes(encode(Image.fromarray(picture), 'PNG'))
    assert (read_image(str(path)) == picture).all()


@pytest.mark.parametrize(
    ('name', 'options'),
    [
        ('a.jpg', {}),
        ('a.png', {}),
        ('a.tif', {}),
        ('a.tif', {'compression': 'tiff_lzw'}),
        ('a.webp', {}),
    ],
)
@pytest.mark.parametrize('orientation', range(1, 9))
def test_exif_orientation_is_applied(tmp_path, name, options, orientation):
    # As seen: red top left, green top right, blue bottom left, white bottom right; wider than high.
    corners = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    seen = corners.repeat(16, axis=0).repeat(32, axis=1)
    # By the standard's table of where row 0 and column 0 of what is stored are seen.
    stored = {
        1: seen,
        2: seen[:, ::-1],
        3: seen[::-1, ::-1],
        4: seen[::-1],
        5: seen.transpose(1, 0, 2),
        6: np.rot90(seen, 1),
        7: np.rot90(seen.transpose(1, 0, 2), 2),
        8: np.rot90(seen, -1),
    }[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image = read_image(
        save(tmp_path, Image.fromarray(np.ascontiguousarray(stored)), name, exif=exif, **options)
    )
    assert image.shape == seen.shape
    middles = image[8::16, 16::32].astype(int)
    assert np.abs(middles - corners).max() < 30


def test_orientation_out_of_range_is_ignored(tmp_path, picture):
    exif = Image.Exif()
    exif[ORIENTATION] = 77
    assert (read_image(save(tmp_path, Image.fromarray(picture), exif=exif)) == picture).all()


def test_damaged_exif_costs_only_the_turn(tmp_path, picture):
    path = save(tmp_path, Image.fromarray(picture), exif=b'Exif\x00\x00MM\x00*\xff\xff\xff\xff')
    assert (read_image(path) == picture).all()


def test_grey_and_two_valued_become_rgb(tmp_path):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (read_image(save(tmp_path, Image.fromarray(grey))) == grey[..., None]).all()
    two = Image.fromarray(grey > 100)
    assert two.mode == '1'
    assert (read_image(save(tmp_path, two)) == np.where(grey > 100, 255, 0)[..., None]).all()


def test_palette_becomes_rgb(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), 'P')
    image.putpalette([10, 20, 30, 40, 50, 60])
    expected = [[[10, 20, 30], [40, 50, 60]], [[40, 50, 60], [10, 20, 30]]]
    assert read_image(save(tmp_path, image)).tolist() == expected


def test_transparency_is_laid_on_white(tmp_path):
    pixels = np.array([[[200, 100, 0, 255], [200, 100, 0, 0], [0, 0, 0, 51]]], np.uint8)
    image = read_image(save(tmp_path, Image.fromarray(pixels)))
    assert image.tolist() == [[[200, 100, 0], [255, 255, 255], [204, 204, 204]]]


def test_transparency_of_grey_palette_and_single_colours(tmp_path):
    grey = Image.fromarray(np.array([[[7, 255], [7, 0]]], np.uint8))
    assert grey.mode == 'LA'
    assert read_image(save(tmp_path, grey)).tolist() == [[[7] * 3, [255] * 3]]
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), 'P')
    palette.putpalette([10, 20, 30, 40, 50, 60])
    path = save(tmp_path, palette, transparency=1)
    assert read_image(path).tolist() == [[[10, 20, 30], [255] * 3]]
    colour = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    path = save(tmp_path, colour, transparency=(4, 5, 6))
    assert read_image(path).tolist() == [[[1, 2, 3], [255] * 3]]


def test_cmyk_becomes_rgb(tmp_path):
    inks = Image.new('CMYK', (8, 8), (255, 0, 0, 0))
    assert read_image(save(tmp_path, inks, 'a.tif'))[4, 4].tolist() == [0, 255, 255]
    assert (
        np.abs(read_image(save(tmp_path, inks, 'a.jpg'))[4, 4] - np.array([0, 255, 255])).max() < 5
    )


@pytest.mark.parametrize('name', ['a.png', 'a.tif'])
@pytest.mark.parametrize(
    ('brightest', 'scale'),
    [(200, 255), (900, 1023), (4000, 4095), (16000, 16383), (40000, 65535)],
)
def test_16_bits_are_scaled_by_the_depth_in_use(tmp_path, name, brightest, scale):
    values = np.linspace(0, brightest, 20).round().astype(np.uint16).reshape(4, 5)
    image = read_image(save(tmp_path, Image.fromarray(values), name))
    assert (image == np.round(values * 255.0 / scale)[..., None]).all()


def test_floating_point(tmp_path):
    def read(values):
        return read_image(save(tmp_path, Image.fromarray(np.float32(values)), 'a.tif'))[..., 0]

    assert read([[0, 0.5, 1]]).tolist() == [[0, 128, 255]]
    assert read([[0, 100, 200]]).tolist() == [[0, 100, 200]]
    assert read([[-1, 0, 1]]).tolist() == [[0, 128, 255]]
    assert read([[0, 5e5, 1e6]]).tolist() == [[0, 128, 255]]
    assert read([[np.nan, np.inf, 1]]).tolist() == [[0, 0, 255]]
    assert read([[np.nan, np.nan]]).tolist() == [[0, 0]]
    assert read([[-3, -3]]).tolist() == [[0, 0]]


def test_32_bit_integers(tmp_path):
    values = np.array([[-(2**31), 0, 2**31 - 1]], np.int32)
    path = save(tmp_path, Image.fromarray(values), 'a.tif')
    assert read_image(path)[..., 0].tolist() == [[0, 128, 255]]


def test_first_of_several_pictures_is_read(tmp_path, picture):
    first, second = Image.fromarray(picture), Image.new('RGB', (40, 24), 'red')
    path = save(tmp_path, first, 'a.tif', save_all=True, append_images=[second])
    assert (read_image(path) == picture).all()


@pytest.mark.parametrize('size', [(1, 1), (1, 50), (50, 1)])
def test_tiny_images(tmp_path, size):
    image = read_image(save(tmp_path, Image.new('RGB', size, 'blue')))
    assert image.shape == (size[1], size[0], 3)


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (b'', 'empty'),
        (b'just some words', 'not a JPEG, PNG, TIFF, WebP, BMP, GIF, AVIF or HEIC image'),
        (b'8BPS' + bytes(50), 'not a JPEG, PNG, TIFF, WebP, BMP, GIF, AVIF or HEIC image'),
        (encode(Image.new('RGB', (40, 24)), 'PNG')[:60], 'damaged'),
    ],
)
def test_error_names_file_and_reason(tmp_path, content, reason):
    path = tmp_path / 'photo.jpg'
    path.write_bytes(content)
    with pytest.raises(ImageReadError, match=reason) as info:
        read_image(path)
    assert str(info.value) == f'{path}: {info.value.reason}'
    assert info.value.path == path
    assert '\n' not in str(info.value)


def test_absent_files_folders_and_pipes_are_errors(tmp_path):
    with pytest.raises(ImageReadError, match='No such file'):
        read_image(tmp_path / 'absent.png')
    with pytest.raises(ImageReadError, match='not a file'):
        read_image(tmp_path)
    os.mkfifo(tmp_path / 'pipe.png')
    with pytest.raises(ImageReadError, match='not a file'):
        read_image(tmp_path / 'pipe.png')
    os.symlink(tmp_path / 'absent', tmp_path / 'link.png')
    with pytest.raises(ImageReadError, match='No such file'):
        read_image(tmp_path / 'link.png')


def test_decompression_bomb_is_refused(tmp_path, monkeypatch):
    path = save(tmp_path, Image.new('1', (500, 500)))
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100_000)
    with pytest.raises(ImageReadError, match=r'than 0.2 megapixels; DYNASEG_MAX_MEGAPIXELS=.*'):
        read_image(path)


@pytest.mark.parametrize(
    ('limit', 'said'),
    [
        ('0.24', 'more than 0.24 megapixels'),
        ('inf', '(500, 500, 3)'),
        ('0.26', '(500, 500, 3)'),
        ('', '(500, 500, 3)'),
    ],
)
def test_the_limit_of_pixels_can_be_set(tmp_path, limit, said):
    path = save(tmp_path, Image.new('1', (500, 500)))
    code = 'from dynaseg.io.reading import *; import sys; print(read_image(sys.argv[1]).shape)'
    done = subprocess.run(
        [sys.executable, '-c', code, path],
        capture_output=True,
        text=True,
        env={**os.environ, 'DYNASEG_MAX_MEGAPIXELS': limit},
    )
    assert said in done.stdout + done.stderr


@pytest.mark.parametrize('file_format', ['JPEG', 'PNG', 'TIFF', 'WEBP', 'BMP'])
def test_truncation_is_always_noticed(tmp_path, file_format):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    content = encode(Image.fromarray(noise), file_format)
    path = tmp_path / 'cut'
    for share in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(ImageReadError):
            read_image(path)


def test_damaged_files_are_read_or_refused(tmp_path, monkeypatch, damaged_files):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1_000_000)  # damaged sizes would cost seconds
    path = tmp_path / 'damaged'
    refused = []
    for content in damaged_files(1000):
        path.write_bytes(content)
        try:
            image = read_image(path)
        except ImageReadError as error:
            refused.append(str(error))
        else:
            assert image.dtype == np.uint8
            assert image.ndim == 3
            assert image.shape[2] == 3
    assert 300 < len(refused) < 900
    assert all(message.startswith(f'{path}: ') for message in refused)


@pytest.mark.parametrize('compression', ['zlib', 'lzma'])
def test_damaged_compression_is_damage(tmp_path, picture, compression):
    values = picture.astype(np.float32)
    path = write_tiff(tmp_path, values, photometric='rgb', compression=compression)
    with tifffile.TiffFile(path) as file:
        (start,), (length,) = file.pages.first.dataoffsets, file.pages.first.databytecounts
    content = bytearray(path.read_bytes())
    content[start + length // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ImageReadError, match=r'deep\.tif: damaged \('):
        read_image(path)


def write_tiff(tmp_path, values, **options):
    path = tmp_path / 'deep.tif'
    tifffile.imwrite(path, values, **options)
    return path


@pytest.mark.parametrize('number_format', [np.uint16, np.float32])
def test_colours_beyond_8_bits_use_the_full_range(tmp_path, picture, number_format):
    values = picture.astype(number_format) * number_format(4095 / 255)  # 12 bits of a camera
    values[0, 0] = 4095
    image = read_image(write_tiff(tmp_path, values, photometric='rgb'))
    assert (image[0, 0] == 255).all()
    assert np.abs(image[1:].astype(int) - picture[1:]).max() <= 2


@pytest.mark.parametrize('layout', ['contig', 'separate'])
@pytest.mark.parametrize('bands', [4, 7])
def test_further_bands_than_three_are_left_out(tmp_path, picture, layout, bands):
    values = np.dstack([picture, *[picture[..., 0]] * (bands - 3)])
    stored = values if layout == 'contig' else values.transpose(2, 0, 1)
    options = {'photometric': 'rgb', 'planarconfig': layout, 'extrasamples': [0] * (bands - 3)}
    assert (read_image(write_tiff(tmp_path, stored, **options)) == picture).all()


@pytest.mark.parametrize('number_format', [np.uint16, np.float32])
@pytest.mark.parametrize('bands', [2, 3, 4, 5])
def test_bands_in_planes_of_their_own_are_read(tmp_path, picture, bands, number_format):
    values = np.stack([picture[..., band % 3] for band in range(bands)]).astype(number_format)
    options = {'photometric': 'minisblack', 'planarconfig': 'separate'}
    image = read_image(write_tiff(tmp_path, values, **options))
    assert (image == (picture if bands >= 3 else picture[..., :1])).all()


def compress(content):
    """Compress bytes by LZW: the table is cleared before its codes need more than 9 bits."""
    codes = [
        code
        for start in range(0, len(content), 200)
        for code in (256, *content[start : start + 200])
    ]
    bits = ''.join(f'{code:09b}' for code in (*codes, 257))
    bits += '0' * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, 'big')


def write_lzw(tmp_path, values, photometric):
    options = {'shape': values.shape, 'dtype': values.dtype, 'rowsperstrip': len(values)}
    parts = iter([compress(values.tobytes())])
    # tifffile alone writes no LZW.
    path = write_tiff(
        tmp_path, parts, photometric=photometric, compression='adobe_deflate', **options
    )
    with tifffile.TiffFile(path, mode='r+b') as file:
        file.pages[0].tags['Compression'].overwrite(5)
    return path


@pytest.mark.skipif(find_spec('imagecodecs') is not None, reason='needs to be without imagecodecs')
@pytest.mark.parametrize('brightest', [4095, 16383, 16384, 65535])
def test_colours_of_which_only_dark_bits_could_be_read_are_an_error(tmp_path, picture, brightest):
    values = (picture.astype(float) / picture.max() * brightest).astype('<u2')
    path = write_lzw(tmp_path, values, photometric='rgb')
    if brightest > 16383:
        assert (read_image(path) == values >> 8).all()
        return
    with pytest.raises(ImageReadError, match='its compression needs imagecodecs: pip install'):
        read_image(path)


@pytest.mark.skipif(find_spec('imagecodecs') is not None, reason='needs to be without imagecodecs')
def test_grey_of_12_bits_is_read_without_imagecodecs(tmp_path):
    values = np.arange(24).reshape(4, 6) * 178  # 0 to 4094
    bits = ''.join(f'{value:012b}' for value in values.ravel())
    packed = np.frombuffer(int(bits, 2).to_bytes(len(bits) // 8, 'big'), np.uint8)
    path = write_tiff(tmp_path, packed.reshape(4, 9), photometric='minisblack')
    with tifffile.TiffFile(path, mode='r+b') as file:
        file.pages[0].tags['ImageWidth'].overwrite(6)
        file.pages[0].tags['BitsPerSample'].overwrite(12)
    assert np.abs(read_image(path)[..., 0] - values / 4095 * 255).max() <= 0.5


@pytest.mark.skipif(find_spec('imagecodecs') is not None, reason='needs to be without imagecodecs')
def test_white_is_not_black_where_imagecodecs_is_missing(tmp_path, picture):
    values = picture[..., 0].astype('<u2') * 257
    path = write_lzw(tmp_path, values, photometric='miniswhite')
    with pytest.raises(ImageReadError, match='its compression needs imagecodecs'):
        read_image(path)
    path = write_lzw(tmp_path, values, photometric='minisblack')
    assert (read_image(path) == picture[..., :1]).all()


def test_transparency_of_16_bits_is_laid_on_white(tmp_path):
    values = np.zeros((4, 6, 2), np.uint16)
    values[:, :3] = 65535, 65535  # opaque white, the rest is transparent black
    values[0, 0] = 0, 65535
    options = {'photometric': 'minisblack', 'planarconfig': 'contig', 'extrasamples': [2]}
    image = read_image(write_tiff(tmp_path, values, **options))
    assert image[0, 0].tolist() == [0, 0, 0]
    assert (image.reshape(-1, 3)[1:] == 255).all()


@pytest.mark.parametrize('number_format', [np.uint8, np.uint16])
def test_white_may_be_zero(tmp_path, number_format):
    values = np.array([[0, np.iinfo(number_format).max]], number_format)
    image = read_image(write_tiff(tmp_path, values, photometric='miniswhite'))
    assert image[0, :, 0].tolist() == [255, 0]


@pytest.mark.parametrize('number_format', [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ('name', 'tags'),
    [
        ('a.dng', [(50706, 'B', 4, (1, 4, 0, 0), True)]),
        ('renamed.tif', [(50706, 'B', 4, (1, 4, 0, 0), True)]),
        ('a.NEF', []),
        ('a.cr2', []),
        ('thumbnail.tif', [(254, 'I', 1, 1, True)]),
    ],
)
def test_camera_raw_is_no_thumbnail(tmp_path, picture, number_format, name, tags):
    path = tmp_path / name
    tifffile.imwrite(path, picture.astype(number_format), photometric='rgb', extratags=tags)
    with pytest.raises(ImageReadError, match=f'{name}: camera raw, .*: convert it first'):
        read_image(path)


def test_later_pictures_of_a_tiff_may_be_thumbnails(tmp_path, picture):
    path = tmp_path / 'a.tif'
    with tifffile.TiffWriter(path) as file:
        file.write(picture, photometric='rgb')
        file.write(picture[::2, ::2], photometric='rgb', subfiletype=1)
    assert (read_image(path) == picture).all()


def test_large_integers_are_not_negative(tmp_path):
    values = np.array([[0, 3_000_000_000]], np.uint32)
    image = read_image(write_tiff(tmp_path, values, photometric='minisblack'))
    assert image[0, :, 0].tolist() == [0, 255]


def test_orientation_of_deep_colours_is_applied(tmp_path, picture):
    tags = [(ORIENTATION, 'H', 1, 6, True)]
    values = picture.astype(np.uint16) * 257
    image = read_image(write_tiff(tmp_path, values, photometric='rgb', extratags=tags))
    assert (image == np.rot90(picture, -1)).all()


def test_a_tiff_that_cannot_be_read_says_why(tmp_path, picture, monkeypatch):
    path = write_tiff(tmp_path, picture.astype(np.float32), photometric='cielab')
    with pytest.raises(ImageReadError, match='its colours are CIELAB'):
        read_image(path)
    path = write_tiff(tmp_path, picture.astype(np.float32), photometric='rgb')
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 400)
    with pytest.raises(ImageReadError, match=r'more than 0\.0008 megapixels'):
        read_image(path)


@pytest.mark.parametrize(
    ('name', 'mode'),
    [('a.png', mode) for mode in ('RGB', 'RGBA', 'P')]
    + [(name, 'RGB') for name in ('a.tif', 'a.jpg', 'a.webp')],
)
def test_colours_of_a_profile_become_srgb(tmp_path, swapped_profile, name, mode):
    image = Image.new('RGB', (16, 16), (250, 20, 20)).convert(mode)
    red, _, blue = read_image(save(tmp_path, image, name, icc_profile=swapped_profile))[8, 8]
    assert red < 60 < 240 < blue


@pytest.mark.parametrize('alpha', [False, True])
def test_deep_colours_of_a_profile_become_srgb(tmp_path, swapped_profile, alpha):
    values = np.full((16, 16, 3 + alpha), 65535, np.uint16)
    values[..., :3] = np.array([250, 20, 20]) * 257
    extra = {'extrasamples': ['unassalpha']} if alpha else {}
    path = write_tiff(tmp_path, values, photometric='rgb', iccprofile=swapped_profile, **extra)
    red, _, blue = read_image(path)[8, 8]
    assert red < 60 < 240 < blue


def test_transparency_is_kept_apart_from_the_profile(tmp_path, swapped_profile):
    image = Image.new('RGBA', (4, 4), (250, 20, 20, 0))
    assert (read_image(save(tmp_path, image, icc_profile=swapped_profile)) == 255).all()


@pytest.mark.parametrize('mode', ['RGB', 'L', 'LA', 'CMYK'])
@pytest.mark.parametrize('profile', ['sRGB', 'damaged'])
def test_other_profiles_change_nothing(tmp_path, mode, profile):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    image = Image.new('RGB', (8, 8), (200, 100, 50)).convert(mode)
    plain = read_image(save(tmp_path, image, 'plain.tif'))
    content = srgb if profile == 'sRGB' else srgb[:300]
    with_profile = read_image(save(tmp_path, image, 'with.tif', icc_profile=content))
    assert (plain == with_profile).all()


@pytest.fixture
def linear_profile():
    """A profile of grey whose values are proportional to the light, in the form of ICC's version 2.

    Its white is D50, and its curve one gamma of 1.
    """
    white = b'XYZ \0\0\0\0' + struct.pack('>3i', 63190, 65536, 54061)
    curve = b'curv\0\0\0\0' + struct.pack('>IHxx', 1, 256)
    name = b'desc\0\0\0\0' + struct.pack('>I', 5) + b'mine\0' + bytes(79)
    tags, offset = {b'desc': name, b'wtpt': white, b'kTRC': curve}, 128 + 4 + 3 * 12
    table, body = struct.pack('>I', len(tags)), b''
    for tag, content in tags.items():
        table += tag + struct.pack('>II', offset + len(body), len(content))
        body += content
    head = struct.pack('>I4xI', offset + len(body), 0x02400000) + b'mntrGRAYXYZ ' + bytes(12)
    head += b'acsp' + bytes(28) + white[8:]
    return head + bytes(128 - len(head)) + table + body


LIGHT = 55  # of 255, a fifth, which is 128 in sRGB


@pytest.mark.parametrize('name', ['a.png', 'a.tif', 'a.jpg'])
def test_grey_of_a_profile_becomes_srgb(tmp_path, linear_profile, name):
    image = read_image(
        save(tmp_path, Image.new('L', (4, 3), LIGHT), name, icc_profile=linear_profile)
    )
    assert np.abs(image.astype(int) - 128).max() <= 1


def test_grey_of_a_profile_with_transparency_becomes_srgb(tmp_path, linear_profile):
    image = Image.new('LA', (4, 3), (LIGHT, 255))
    image.putpixel((0, 0), (LIGHT, 0))
    with_key = Image.new('L', (4, 3), LIGHT)
    with_key.putpixel((0, 0), 7)
    options = {'icc_profile': linear_profile}
    for path in (
        save(tmp_path, image, 'a.png', **options),
        save(tmp_path, image, 'a.tif', **options),
        save(tmp_path, with_key, 'key.png', transparency=7, **options),
    ):
        pixels = read_image(path).reshape(-1, 3).astype(int)
        assert pixels[0].tolist() == [255] * 3
        assert np.abs(pixels[1:] - 128).max() <= 1


@pytest.mark.parametrize('alpha', [False, True])
def test_deep_grey_of_a_profile_becomes_srgb(tmp_path, linear_profile, alpha):
    values = np.full((3, 4), 257 * LIGHT, np.uint16)
    values[0, 0] = 65535
    options = {'photometric': 'minisblack', 'iccprofile': linear_profile}
    if alpha:
        values = np.dstack([values, np.full_like(values, 65535)])
        options |= {'planarconfig': 'contig', 'extrasamples': ['unassalpha']}
    image = read_image(write_tiff(tmp_path, values, **options))
    if not alpha:
        path = save(tmp_path, Image.fromarray(values), icc_profile=linear_profile)
        assert (read_image(path) == image).all()
    assert np.abs(image.reshape(-1, 3)[1:].astype(int) - 128).max() <= 1


@pytest.mark.parametrize('mode', ['L', 'LA'])
def test_grey_of_a_profile_of_colours_stays_grey(tmp_path, swapped_profile, mode):
    image = Image.new('L', (4, 3), 100).convert(mode)
    pixels = read_image(save(tmp_path, image, icc_profile=swapped_profile)).astype(int)
    assert np.abs(pixels - 100).max() <= 1


@pytest.mark.parametrize('limit', ['-5', 'many', 'nan'])
def test_a_limit_of_pixels_that_is_none_is_refused(limit):
    done = subprocess.run(
        [sys.executable, '-c', 'import dynaseg.io.reading'],
        capture_output=True,
        text=True,
        env={**os.environ, 'DYNASEG_MAX_MEGAPIXELS': limit},
    )
    assert f"ValueError: DYNASEG_MAX_MEGAPIXELS must be a number of megapixels, got '{limit}'" in (
        done.stderr
    )


def test_lack_of_memory_is_no_damage(tmp_path, picture, monkeypatch):
    path = save(tmp_path, Image.fromarray(picture))

    def fail(image):
        raise MemoryError

    monkeypatch.setattr('PIL.PngImagePlugin.PngImageFile.load', fail)
    with pytest.raises(MemoryError):
        read_image(path)

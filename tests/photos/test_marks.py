import numpy as np
import pytest
from PIL import Image, ImageDraw

from dynaseg.guided import cut_out, segment_marked
from dynaseg.io.deep import ORIENTATION_TAG
from dynaseg.io.reading import ImageReadError, read_image
from dynaseg.photos.marks import Mark, draw_marks, parse_mark, read_marks


def test_clicks_lines_and_polygons_are_drawn():
    marks = [
        Mark(0, [(2, 3)]),
        Mark(1, [(5, 0), (9, 0)]),
        Mark(2, [(10, 5), (14, 5), (14, 8), (10, 8)], filled=True),
    ]
    drawn = draw_marks(marks, (10, 16))
    assert drawn.shape == (10, 16)
    assert np.argwhere(drawn == 0).tolist() == [[3, 2]]
    assert np.argwhere(drawn == 1).tolist() == [[0, x] for x in range(5, 10)]
    assert (drawn[5:9, 10:15] == 2).all()
    assert (drawn == 2).sum() == 20


def test_marks_are_wider_on_large_images():
    assert (draw_marks([Mark(0, [(500, 500)])], (1000, 1000)) == 0).sum() > 20


def test_later_marks_lie_over_earlier_ones():
    drawn = draw_marks([Mark(0, [(0, 0), (4, 0)]), Mark(1, [(2, 0)])], (1, 5))
    assert drawn.tolist() == [[0, 0, 1, 0, 0]]


@pytest.mark.parametrize('point', [(16, 0), (0, 10), (-1, 0)])
def test_a_mark_outside_the_image_is_refused(point):
    with pytest.raises(ValueError, match=f'{point[0]},{point[1]} lies outside the image, 16 x 10'):
        draw_marks([Mark(0, [point])], (10, 16))


@pytest.mark.parametrize('text', ['', '3', '3;4', 'a,b', '1,2,3', 'polygon:', '1,2 x'])
def test_what_is_no_mark_is_refused(text):
    with pytest.raises(ValueError, match='must be'):
        parse_mark(text, 0)


def test_a_polygon_has_three_corners():
    with pytest.raises(ValueError, match=r"'polygon:X,Y X,Y X,Y ...', got 'polygon:1,1 2,2'"):
        parse_mark('polygon:1,1 2,2', 0)
    with pytest.raises(ValueError, match='points must be at least 3, got 2'):
        Mark(0, [(1, 1), (2, 2)], filled=True)


def make_photo(height, width):
    return np.full((height, width, 3), 120, np.uint8)


@pytest.mark.parametrize('mode', ['L', 'P'])
def test_painted_numbers(tmp_path, mode):
    pixels = np.array([[0, 1, 2], [0, 0, 3]], dtype=np.uint8)
    image = Image.fromarray(pixels)
    if mode == 'P':
        image.putpalette([0, 0, 0, 0, 255, 0, 255, 0, 0, 9, 9, 9])
    image.save(tmp_path / 'marks.png')
    labels = read_marks(tmp_path / 'marks.png', make_photo(2, 3))
    assert labels.tolist() == [[-1, 0, 1], [-1, -1, 2]]


def test_painted_numbers_of_16_bits_or_with_transparency(tmp_path):
    pixels = np.array([[0, 1, 2], [0, 0, 3]], dtype=np.uint8)
    Image.fromarray(pixels.astype(np.uint16)).save(tmp_path / 'deep.png')
    alpha = np.array([[255, 255, 0], [255, 255, 200]], dtype=np.uint8)
    Image.fromarray(np.dstack([pixels, alpha])).save(tmp_path / 'alpha.png')
    labels = read_marks(tmp_path / 'deep.png', make_photo(2, 3))
    assert labels.tolist() == [[-1, 0, 1], [-1, -1, 2]]
    labels = read_marks(tmp_path / 'alpha.png', make_photo(2, 3))
    assert labels.tolist() == [[-1, 0, -1], [-1, -1, 2]]


def test_marks_are_turned_as_photographs_are(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 2], [0, 0, 3]], dtype=np.uint8))
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 3
    image.save(tmp_path / 'marks.png', exif=exif)
    labels = read_marks(tmp_path / 'marks.png', make_photo(2, 3))
    assert labels.tolist() == [[2, -1, -1], [1, 0, -1]]


def test_painted_colours(tmp_path):
    pixels = np.zeros((1, 6, 4), np.uint8)
    pixels[0] = [
        (0, 200, 30, 255),
        (230, 20, 20, 255),
        (0, 255, 0, 0),
        (0, 0, 0, 255),
        (255, 255, 255, 255),
        (40, 240, 60, 200),
    ]
    Image.fromarray(pixels).save(tmp_path / 'marks.png')
    assert read_marks(tmp_path / 'marks.png', make_photo(1, 6)).tolist() == [[0, 1, -1, -1, -1, 0]]


def test_other_colours_and_sizes_and_files_are_refused(tmp_path):
    Image.new('RGB', (4, 3), (0, 0, 255)).save(tmp_path / 'blue.png')
    with pytest.raises(ImageReadError, match=r'colour at 0,0 is neither green .* nor red '):
        read_marks(tmp_path / 'blue.png', make_photo(3, 4))
    with pytest.raises(ImageReadError, match='are 4 x 3 pixels, the image is 7 x 5'):
        read_marks(tmp_path / 'blue.png', make_photo(5, 7))
    Image.new('RGB', (4, 3)).save(tmp_path / 'marks.jpg')
    with pytest.raises(ImageReadError, match=r'marks must be a PNG, .* as they were painted$'):
        read_marks(tmp_path / 'marks.jpg', make_photo(3, 4))
    (tmp_path / 'words.png').write_text('no image')
    with pytest.raises(ImageReadError, match='marks must be a PNG'):
        read_marks(tmp_path / 'words.png', make_photo(3, 4))
    content = (tmp_path / 'blue.png').read_bytes()
    (tmp_path / 'blue.png').write_bytes(content[:50])
    with pytest.raises(ImageReadError, match='the marks cannot be read: '):
        read_marks(tmp_path / 'blue.png', make_photo(3, 4))


def test_damaged_marks_are_read_or_refused(tmp_path):
    Image.fromarray(np.eye(4, dtype=np.uint8)).save(tmp_path / 'marks.png')
    content = (tmp_path / 'marks.png').read_bytes()
    refused = 0
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        (tmp_path / 'marks.png').write_bytes(damaged)
        try:
            read_marks(tmp_path / 'marks.png', make_photo(4, 4))
        except ImageReadError:
            refused += 1
    assert refused > len(content) / 2


def test_marks_of_more_pixels_than_pillow_allows_are_refused(tmp_path, monkeypatch):
    Image.new('L', (40, 40)).save(tmp_path / 'marks.png')
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 400)
    with pytest.raises(ImageReadError, match=r'the marks cannot be read: .* decompression bomb'):
        read_marks(tmp_path / 'marks.png', make_photo(3, 4))


@pytest.mark.parametrize(
    ('green', 'red'), [((0, 255, 0), (255, 0, 0)), ((0, 176, 80), (224, 32, 32))]
)
def test_strokes_may_cross(tmp_path, green, red):
    large = Image.new('RGBA', (480, 320))
    draw = ImageDraw.Draw(large)
    draw.line([(40, 160), (440, 200)], (*green, 255), 48)
    draw.line([(220, 20), (260, 300)], (*red, 255), 48)
    layer = large.resize((120, 80), Image.Resampling.LANCZOS)
    layer.save(tmp_path / 'marks.png')
    labels = read_marks(tmp_path / 'marks.png', make_photo(80, 120))
    assert labels[45, 30] == labels[45, 90] == 0
    assert (labels[10:70, 60] == 1).sum() > 50
    assert (labels == -1).mean() > 0.5


@pytest.mark.parametrize('colour', [(200, 200, 0), (0, 0, 255)])
def test_a_stroke_of_a_third_colour_is_refused_where_others_are(tmp_path, colour):
    image = Image.new('RGBA', (60, 40))
    draw = ImageDraw.Draw(image)
    for x, one in enumerate([(0, 255, 0), colour, (255, 0, 0)]):
        draw.rectangle([20 * x, 10, 20 * x + 19, 30], (*one, 255))
    image.save(tmp_path / 'marks.png')
    with pytest.raises(ImageReadError, match=r'colour at \d+,1\d is neither green'):
        read_marks(tmp_path / 'marks.png', make_photo(40, 60))


def test_a_photograph_may_be_painted_over(tmp_path):
    """Grass and a red flower are as green and red as marks; the strokes have soft edges."""
    rng = np.random.default_rng(0)
    photo = np.full((40, 60, 3), (70, 150, 30), np.int64)
    photo[10:20, 30:50] = (220, 30, 40)
    photo[30:] = (40, 60, 200)
    photo = (photo + rng.integers(-9, 10, photo.shape)).clip(0, 255).astype(np.uint8)
    large = Image.new('RGBA', (480, 320))
    draw = ImageDraw.Draw(large)
    draw.line([(200, 120), (440, 120)], (0, 176, 80, 255), 32)
    draw.line([(40, 40), (40, 300)], (224, 32, 32, 255), 32)
    layer = large.resize((60, 40), Image.Resampling.LANCZOS)
    decoded = (photo + rng.integers(-8, 9, photo.shape)).clip(0, 255).astype(np.uint8)
    painted = Image.alpha_composite(Image.fromarray(decoded).convert('RGBA'), layer)
    painted.convert('RGB').save(tmp_path / 'painted.png')
    labels = read_marks(tmp_path / 'painted.png', photo)
    strokes = np.asarray(layer)
    assert (labels[strokes[..., 3] == 255] >= 0).all()
    assert (labels[strokes[..., 3] == 0] == -1).all()
    assert (strokes[labels == 0, 1] > strokes[labels == 0, 0]).all()
    assert (strokes[labels == 1, 0] > strokes[labels == 1, 1]).all()


@pytest.fixture
def profiled(tmp_path, swapped_profile):
    """A photograph with a profile that exchanges red and blue, and as it is seen."""
    seen = np.full((40, 60, 3), 150, np.uint8)
    seen[:12, 40:] = (220, 30, 40)  # a flower
    seen[28:, :20] = (70, 180, 30)  # a leaf
    seen[16:30, 24:50] = (40, 60, 200)
    Image.fromarray(seen[..., ::-1].copy()).save(tmp_path / 'a.png', icc_profile=swapped_profile)
    return tmp_path / 'a.png', seen


def paint(pixels, green=(0, 255, 0), red=(255, 0, 0)):
    painted = pixels.copy()
    painted[22:25, 28:44], painted[4:7, 4:30] = green, red
    return Image.fromarray(painted)


@pytest.mark.parametrize('editor', ['keeps the profile', 'converts', 'leaves out the profile'])
def test_a_photograph_with_a_profile_may_be_painted_over(
    tmp_path, profiled, swapped_profile, editor
):
    photo, seen = profiled
    stored = seen[..., ::-1]
    if editor == 'keeps the profile':  # in which what is seen as red is stored as blue
        options = {'icc_profile': swapped_profile}
        paint(stored, red=(0, 0, 255)).save(tmp_path / 'painted.png', **options)
    else:
        paint(seen if editor == 'converts' else stored).save(tmp_path / 'painted.png')
    expected = np.full(seen.shape[:2], -1)
    expected[22:25, 28:44], expected[4:7, 4:30] = 0, 1
    labels = read_marks(tmp_path / 'painted.png', read_image(photo), photo)
    assert (labels == expected).all()
    labels = segment_marked(photo, tmp_path / 'painted.png', device='cpu')
    assert (labels == segment_marked(photo, expected, device='cpu')).all()
    _, mask = cut_out(photo, marks=tmp_path / 'painted.png', out_dir=tmp_path, device='cpu')
    is_subject = np.asarray(Image.open(mask)) == 255
    assert is_subject[20:26, 28:46].all()
    assert not is_subject[:12].any()


def test_a_layer_with_a_profile_has_the_colours_that_are_seen(tmp_path, profiled, swapped_profile):
    photo, seen = profiled
    layer = paint(np.zeros_like(seen), red=(0, 0, 255))
    layer.save(tmp_path / 'layer.png', icc_profile=swapped_profile)
    labels = read_marks(tmp_path / 'layer.png', read_image(photo))
    assert [(labels == label).sum() for label in (0, 1)] == [48, 78]

import json

import numpy as np
import pytest
from PIL import Image
from running import check_outputs, read_map, run

from dynaseg.io.palette import distinct_palette
from dynaseg.photos.exports import export_coco
from dynaseg.photos.legend import CROP_SIZE, NUM_EXAMPLES, Legend
from dynaseg.photos.page import LEGEND_NAME
from dynaseg.photos.regions import RegionChoice
from dynaseg.predictor import Segmentation

NAMES = ('dark', 'unused', 'middle', 'bright')
COLOURS = np.array([[10, 10, 10], [0, 0, 0], [120, 130, 120], [240, 240, 230]], np.uint8)
SETTINGS = {'config': 'a.py', 'label_names': list(NAMES)}


def segment(images):
    """Labels by brightness, which mean the same in every image."""
    return [
        Segmentation(np.array([0, 2, 3])[np.digitize(image[..., 0], [64, 192])], names=NAMES)
        for image in images
    ]


@pytest.fixture
def pictures(tmp_path):
    """Six pictures of stripes: the first has all labels, the others not the first one."""
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for number in range(6):
        labels = np.full((40, 60), 3)
        labels[:, : 10 + 5 * number] = 2
        if number == 0:
            labels[:20, 30:50] = 0
        Image.fromarray(COLOURS[labels]).save(folder / f'{number}.png')
    return folder


def test_labels_keep_their_value_and_colour(pictures, tmp_path):
    records = run(pictures, tmp_path / 'out', segment, SETTINGS)
    check_outputs(tmp_path / 'out')
    palette = distinct_palette(len(NAMES))
    for number, record in enumerate(records):
        labels = read_map(tmp_path / f'out/labels/{number}.png')
        assert set(np.unique(labels)) == ({0, 2, 3} if number == 0 else {2, 3})
        assert record['clusters'] == len(np.unique(labels))
        assert record['shares'] == pytest.approx(
            {NAMES[label]: (labels == label).mean() for label in np.unique(labels)}, abs=1e-6
        )
        for name, (x, y, radius) in record['examples'].items():
            near = labels[max(0, y - int(radius / 2)) : y + 1, x]
            assert set(near) == {NAMES.index(name)}
        overlay = np.array(Image.open(tmp_path / f'out/overlays/{number}.jpg')).astype(int)
        for label in np.unique(labels):
            x, y, _ = record['examples'][NAMES[label]]
            expected = 0.6 * COLOURS[label] + 0.4 * palette[label]
            np.testing.assert_allclose(overlay[y, x], expected, atol=6)
        script = (tmp_path / f'out/viewer/{number}.js').read_text()
        data = json.loads(script[len('dynaseg.receive(') : -len(');\n')])
        assert {tuple(colour) for colour in data['colours']} == {
            tuple(palette[label].tolist()) for label in np.unique(labels)
        }


def test_regions_have_the_colour_of_most_of_their_pixels(pictures, tmp_path):
    choice = RegionChoice(regions=1, min_area=0)
    run(pictures / '5.png', tmp_path / 'out', segment, SETTINGS, choice=choice)
    overlay = np.array(Image.open(tmp_path / 'out/overlays/5.jpg')).astype(int)
    colour = distinct_palette(4)[2]  # 35 of 60 columns
    np.testing.assert_allclose(overlay[20, 50], 0.6 * COLOURS[3] + 0.4 * colour, atol=6)


def test_the_page_has_a_legend(pictures, tmp_path):
    run(pictures, tmp_path / 'out', segment, SETTINGS)
    page = (tmp_path / 'out/index.html').read_text()
    assert page.index('<b>bright</b>') < page.index('<b>middle</b>') < page.index('<b>dark</b>')
    assert '<b>unused</b>' not in page
    assert '<dt>label_names</dt>' not in page
    colour = ', '.join(map(str, distinct_palette(4)[3]))
    assert f'background: rgb({colour})"></span><b>bright</b>' in page
    shares = [(60 - 10 - 5 * number) / 60 for number in range(6)]
    shares[0] -= 20 * 20 / 2400
    assert f'{100 * np.mean(shares):.1f} %' in page
    with Image.open(tmp_path / 'out' / LEGEND_NAME) as picture:
        crops = np.array(picture)
    assert page.count('<image href="assets/legend.jpg"') == 2 * NUM_EXAMPLES + 1
    # The first crop is of the first label: its pixels as they are, others veiled.
    middle = crops[CROP_SIZE // 2, CROP_SIZE // 2]
    np.testing.assert_allclose(middle, COLOURS[0], atol=16)


def test_the_legend_is_the_same_after_other_runs(pictures, tmp_path):
    run(pictures, tmp_path / 'whole', segment, SETTINGS)
    for number in (3, 1, 5, 0, 2, 4):
        run(pictures / f'{number}.png', tmp_path / 'parts', segment, SETTINGS)
    run(pictures / '3.png', tmp_path / 'parts', segment, SETTINGS, overwrite=True)

    def read(out):
        page = (out / 'index.html').read_text()
        return page[page.index('<details class="legend"') : page.index('<div class="cards">')]

    assert read(tmp_path / 'whole') == read(tmp_path / 'parts')
    legends = [(tmp_path / name / LEGEND_NAME).read_bytes() for name in ('whole', 'parts')]
    assert legends[0] == legends[1]


def test_other_settings_begin_another_legend(pictures, tmp_path):
    run(pictures, tmp_path / 'out', segment, SETTINGS)
    settings = SETTINGS | {'config': 'b.py'}
    run(pictures / '1.png', tmp_path / 'out', segment, settings, overwrite=True)
    page = (tmp_path / 'out/index.html').read_text()
    assert 'it is in 1 of them' in page
    assert '<b>dark</b>' not in page


def test_the_viewer_fills_regions_with_their_labels_colours(pictures, tmp_path, start_browser):
    from selenium.webdriver.support.ui import WebDriverWait

    run(pictures / '0.png', tmp_path / 'out', segment, SETTINGS)
    driver = start_browser(tmp_path, 1280, 900)
    driver.get((tmp_path / 'out/index.html').as_uri() + '#0')
    WebDriverWait(driver, 60).until(
        lambda _: driver.find_elements('css selector', '#viewer[open]:not(.loading)')
    )
    driver.find_element('css selector', '[data-do=colours]').click()
    pixel = 'getImageData(arguments[0] * c.width, arguments[1] * c.height, 1, 1)'
    script = "const c = document.querySelector('#viewer canvas'); return [...c.getContext('2d')"
    palette = distinct_palette(4)
    for x, y, label in ((5, 20, 2), (40, 8, 0), (55, 30, 3)):
        found = driver.execute_script(f'{script}.{pixel}.data]', x / 60, y / 40)
        assert found == [*palette[label].tolist(), 255]


def test_labels_are_the_categories_of_coco(pictures, tmp_path):
    records = run(pictures, tmp_path / 'out', segment, SETTINGS)
    path = export_coco(tmp_path / 'out', records, NAMES)
    content = json.loads(path.read_text())
    names = {one['id']: one['name'] for one in content['categories']}
    assert list(names.values()) == list(NAMES)
    areas = {}
    for one in content['annotations']:
        name = names[one['category_id']]
        areas[one['image_id'], name] = areas.get((one['image_id'], name), 0) + one['area']
    assert areas == {
        (number, name): pytest.approx(2400 * share, abs=0.01)
        for number, record in enumerate(records, start=1)
        for name, share in record['shares'].items()
    }


def test_a_record_is_forgotten():
    record = {
        'name': 'a',
        'size': [8, 6],
        'shares': {'bright': 0.25, 'dark': 0.75},
        'examples': {'bright': [1, 2, 1.5], 'dark': [5, 3, 2.0]},
    }
    legend = Legend(NAMES)
    legend.note(record)
    legend.note(record | {'name': 'b', 'shares': {'bright': 1.0}})
    legend.note({'name': 'c', 'error': 'damaged'})
    legend.note(record, times=-1)
    (entry,) = legend.entries()
    assert (entry['name'], entry['label'], entry['share'], entry['images']) == ('bright', 3, 1.0, 1)
    assert len(entry['crops']) == 1


def test_forgotten_examples_make_room_for_others():
    legend = Legend(NAMES)
    records = [
        {'name': name, 'size': [8, 6], 'shares': {'dark': 1.0}, 'examples': {'dark': [5, 3, size]}}
        for size, name in enumerate('abcdef', start=1)
    ]
    for record in records:
        legend.note(record)
    assert len(legend.entries()[0]['crops']) == 4
    for record in records[2:]:
        legend.note(record, times=-1)
    assert len(legend.entries()[0]['crops']) == 2

"""The viewer in a browser without a window, from disk and without a network."""

import io

import numpy as np
import pytest
from PIL import Image
from running import run
from stand_ins import make_blocks

from dynaseg.io.reading import read_image
from dynaseg.photos.regions import RegionChoice
from dynaseg.photos.viewer import LONGEST_RUN, encode_runs
from dynaseg.predictor import Segmentation

# The first is shown larger than it is, the second smaller; the third has a difficult name.
SIZES = {'small': (24, 36), 'large': (1200, 1800), "it's 100% <b> #1?": (36, 24)}
SECONDS = 60  # after which something hangs


@pytest.mark.parametrize('length', [1, LONGEST_RUN, LONGEST_RUN + 1, 3 * LONGEST_RUN])
def test_runs_of_any_length(length):
    values = np.repeat([3, 2**20, 3], [1, length, 2])
    runs, lengths = encode_runs(values)
    assert lengths.min() > 0
    assert np.array_equal(np.repeat(runs, lengths), values)


class Viewer:
    """A viewer in a browser, used as people use it."""

    def __init__(self, driver, page, downloads):
        self.driver, self.page, self.downloads = driver, page, downloads

    def open(self, name):
        self.driver.get(f'{self.page.as_uri()}')
        links = self.driver.find_elements('css selector', 'a.picture')
        next(link for link in links if link.get_attribute('data-name') == name).click()
        self.wait(lambda: self.find('#viewer[open]:not(.loading)'))

    def find(self, selector):
        return self.driver.find_element('css selector', selector)

    def wait(self, condition):
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, SECONDS).until(lambda _: condition())

    def set_detail(self, detail):
        self.driver.execute_script(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))",
            self.find('#viewer-detail'),
            round(1000 * detail),
        )

    @property
    def regions(self):
        return int(self.find('output').text.split()[0].replace(',', ''))

    @property
    def status(self):
        return self.find('[role=status]').text

    def click(self, row, column, shape, shift=False):
        """Click on a pixel of an image of a shape."""
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys

        frame = self.find('.frame')
        x = ((column + 0.5) / shape[1] - 0.5) * frame.rect['width']
        y = ((row + 0.5) / shape[0] - 0.5) * frame.rect['height']
        chain = ActionChains(self.driver).move_to_element_with_offset(frame, int(x), int(y))
        if shift:
            chain.key_down(Keys.SHIFT).click().key_up(Keys.SHIFT).perform()
        else:
            chain.click().perform()

    def press(self, keys, shift=False):
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys

        chain = ActionChains(self.driver)
        if shift:
            chain.key_down(Keys.SHIFT).send_keys(keys).key_up(Keys.SHIFT).perform()
        else:
            chain.send_keys(keys).perform()

    def hold_files(self):
        """Hold back what the page loads from now on."""
        self.driver.execute_script(
            'window.held = []; document.head.append = (script) => held.push(script)'
        )

    def release_file(self, number):
        """Let one of the files that are held back come."""
        asked = 'return held.length > arguments[0]'
        self.wait(lambda: self.driver.execute_script(asked, number))
        script = 'Node.prototype.appendChild.call(document.head, held[arguments[0]])'
        self.driver.execute_script(script, number)
        loaded = 'return !held[arguments[0]].isConnected'  # the page takes it away
        self.wait(lambda: self.driver.execute_script(loaded, number))

    def do(self, action):
        self.find(f'[data-do={action}]').click()

    def saved(self, name):
        """The picture that was saved under a name."""
        self.wait(lambda: self.status.startswith(f'Saved {name}'))
        # Of a difficult name the browser makes another.
        (path,) = self.wait(lambda: list(self.downloads.glob('*.png')))
        content = path.read_bytes()
        path.unlink()
        return np.array(Image.open(io.BytesIO(content)))

    def saved_mask(self, name):
        mask = self.saved(f'{name}-mask.png')
        assert set(np.unique(mask[..., :3])) <= {0, 255}
        return mask[..., 0] == 255

    def screenshot(self):
        return np.array(Image.open(io.BytesIO(self.driver.get_screenshot_as_png())).convert('RGB'))


def make_hierarchy(name):
    shape = SIZES[name]
    return make_blocks(shape, size=max(shape) // 9, seed=1)


def predict(images):
    names = {shape: name for name, shape in SIZES.items()}
    hierarchies = [make_hierarchy(names[image.shape[:2]]) for image in images]
    return [Segmentation(one.leaves.astype(np.int64), None, one) for one in hierarchies]


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    """A page of images, each of squares of one colour."""
    folder = tmp_path_factory.mktemp('viewer')
    for name in SIZES:
        leaves = make_hierarchy(name).leaves
        colours = np.random.default_rng(0).integers(0, 256, (leaves.max() + 1, 3), dtype=np.uint8)
        Image.fromarray(colours[leaves]).save(folder / f'{name}.png')
    run(folder, folder / 'out', predict, choice=RegionChoice(regions=5, min_area=0))
    return folder / 'out/index.html'


@pytest.fixture(scope='module')
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp('downloads')


@pytest.fixture(scope='module')
def desktop(start_browser, page, downloads):
    return Viewer(start_browser(downloads, 1280, 900), page, downloads)


@pytest.fixture(scope='module')
def phone(start_browser, page, downloads):
    return Viewer(start_browser(downloads, 390, 844), page, downloads)


@pytest.mark.parametrize('name', SIZES)
def test_the_slider_shows_the_regions_of_each_detail(desktop, name):
    hierarchy = make_hierarchy(name)
    desktop.open(name)
    assert desktop.regions == 5
    assert desktop.status == 'Click or tap a region to select it'
    for detail in (0, 0.1, 0.3, 0.5, 0.8, 1):
        desktop.set_detail(detail)
        assert desktop.find('.detail label').text == f'Detail {detail:.2f}'
        assert desktop.regions == hierarchy.num_regions(hierarchy.altitude(detail))


@pytest.mark.parametrize('name', SIZES)
def test_what_is_clicked_is_saved_at_the_photographs_own_size(desktop, page, name):
    hierarchy, shape = make_hierarchy(name), SIZES[name]
    image = read_image(page.parents[1] / f'{name}.png')
    desktop.open(name)
    desktop.set_detail(0.5)
    regions = hierarchy.cut(hierarchy.altitude(0.5))
    row, column = shape[0] // 3, shape[1] // 4
    desktop.click(row, column, shape)
    expected = regions == regions[row, column]
    assert desktop.status == f'Selected: {describe_share(expected)} % of the image'
    desktop.do('mask')
    assert np.array_equal(desktop.saved_mask(name), expected)
    desktop.do('cut-out')
    cut_out = desktop.saved(f'{name}-cutout.png')
    assert np.array_equal(cut_out[..., 3], 255 * expected)
    difference = cut_out[..., :3][expected].astype(int) - image[expected]
    assert np.abs(difference).mean() < 8  # by JPEG, of squares of a few pixels


def test_what_was_selected_is_saved_though_it_is_cleared_meanwhile(desktop):
    regions, shape = make_hierarchy('small').cut_to(5), SIZES['small']
    desktop.open('small')
    desktop.click(shape[0] // 2, shape[1] // 2, shape)
    desktop.hold_files()
    desktop.do('mask')
    desktop.do('clear')
    desktop.release_file(0)
    mask = desktop.saved_mask('small')
    assert np.array_equal(mask, regions == regions[shape[0] // 2, shape[1] // 2])


def test_an_image_that_comes_late_does_not_replace_the_one_on_view(desktop):
    desktop.open('large')
    desktop.press('\ue00c')  # Escape
    desktop.hold_files()
    desktop.find('a.picture').click()
    desktop.do('next')
    desktop.release_file(1)
    desktop.wait(lambda: desktop.find('#viewer[open]:not(.loading)'))
    photo = desktop.find('.frame img').get_attribute('src')
    desktop.release_file(0)
    assert desktop.find('.frame img').get_attribute('src') == photo


def describe_share(mask):
    percent = 100 * mask.mean()
    return f'{percent:.2g}' if percent < 10 else f'{percent:.0f}'


def test_shift_adds_and_a_second_click_takes_away(desktop):
    regions, shape = make_hierarchy('small').cut_to(5), SIZES['small']
    places = [divmod(int(np.flatnonzero(regions == region)[-1]), shape[1]) for region in (0, 1)]
    desktop.open('small')
    masks = []
    for number, (row, column) in enumerate((*places, places[0])):
        desktop.click(row, column, shape, shift=number > 0)
        desktop.do('mask')
        masks.append(desktop.saved_mask('small'))
    assert np.array_equal(masks[0], regions == 0)
    assert np.array_equal(masks[1], regions < 2)
    assert np.array_equal(masks[2], regions == 1)
    row, column = places[1]
    desktop.click(row, column, shape)
    assert not desktop.find('[data-do=mask]').is_enabled()


def test_a_selection_stays_while_the_detail_changes(desktop):
    regions, shape = make_hierarchy('small').cut_to(5), SIZES['small']
    desktop.open('small')
    desktop.click(2, 2, shape)
    desktop.set_detail(1)
    desktop.do('mask')
    assert np.array_equal(desktop.saved_mask('small'), regions == regions[2, 2])


def test_the_keyboard_does_all(desktop):
    from selenium.webdriver.common.keys import Keys

    regions = make_hierarchy('small').cut_to(5)
    by_size = np.argsort(-np.bincount(regions.ravel()), kind='stable')
    desktop.open('small')
    desktop.press(Keys.ARROW_DOWN)
    assert desktop.status.startswith('Region 1 of 5, ')
    desktop.press(Keys.ENTER)
    assert desktop.status.startswith('Selected: ')
    desktop.press('m')
    mask = desktop.saved_mask('small')
    assert mask.sum() == (regions == by_size[0]).sum()
    desktop.press(Keys.ARROW_DOWN)
    desktop.driver.execute_script("document.querySelector('.frame').focus()")
    desktop.press(Keys.SPACE, shift=True)
    desktop.press('s')
    cut_out = desktop.saved('small-cutout.png')
    assert (cut_out[..., 3] > 0).sum() == np.sort(np.bincount(regions.ravel()))[-2:].sum()
    desktop.press(Keys.ARROW_RIGHT * 20)
    finer = desktop.regions
    assert finer > 5
    desktop.press(Keys.ARROW_LEFT * 30)
    assert desktop.regions < finer
    desktop.press(Keys.ESCAPE)
    assert not desktop.find('[data-do=clear]').is_enabled()
    assert desktop.driver.find_elements('css selector', '#viewer[open]')
    desktop.press(Keys.ESCAPE)
    assert not desktop.driver.find_elements('css selector', '#viewer[open]')


@pytest.mark.parametrize('by_key', [False, True])
def test_the_keyboard_goes_on_after_clearing(desktop, by_key):
    from selenium.webdriver.common.keys import Keys

    desktop.open('small')
    desktop.press([Keys.ARROW_DOWN, Keys.ENTER])
    if by_key:
        desktop.driver.execute_script("document.querySelector('[data-do=clear]').focus()")
        desktop.press(Keys.ENTER)
    else:
        desktop.do('clear')
    assert desktop.status == 'Click or tap a region to select it'
    desktop.press(Keys.ARROW_DOWN)
    assert desktop.status.startswith('Region ')
    desktop.press(Keys.ENTER)
    assert desktop.status.startswith('Selected: ')
    desktop.driver.execute_script("document.querySelector('#viewer-detail').focus()")
    desktop.press(Keys.ESCAPE)  # which clears, too, and leaves the slider its keys
    focused = 'return document.activeElement.id'
    assert desktop.driver.execute_script(focused) == 'viewer-detail'


def test_regions_light_up_under_the_pointer_and_in_colours(desktop):
    from selenium.webdriver.common.action_chains import ActionChains

    desktop.open('small')
    plain = desktop.screenshot()
    ActionChains(desktop.driver).move_to_element(desktop.find('.frame')).perform()
    lit = desktop.screenshot()
    assert (lit != plain).any(axis=2).mean() > 0.02
    desktop.do('colours')
    assert (desktop.screenshot() != plain).any(axis=2).mean() > 0.05
    assert desktop.find('[data-do=colours]').get_attribute('aria-pressed') == 'true'


def test_addresses_lead_to_images_and_back(desktop):
    desktop.open('large')
    assert desktop.driver.current_url.endswith('#large')
    desktop.do('next')
    desktop.wait(lambda: desktop.find('#viewer h2').text == 'small.png')
    assert not desktop.find('[data-do=next]').is_enabled()
    desktop.driver.back()
    desktop.wait(lambda: not desktop.driver.find_elements('css selector', '#viewer[open]'))


def test_a_phone_has_all_in_its_width_and_adds_by_touch(phone):
    regions, shape = make_hierarchy('small').cut_to(5), SIZES['small']
    phone.driver.get(phone.page.as_uri())
    assert phone.driver.execute_script('return document.documentElement.scrollWidth') == 390
    phone.open('small')
    for selector in ('#viewer', '#viewer footer', '#viewer .frame'):
        box = phone.find(selector).rect
        assert 0 <= box['x'] <= box['x'] + box['width'] <= 390
    for button in phone.driver.find_elements('css selector', '#viewer button'):
        assert button.is_displayed()
        assert min(button.size.values()) >= 36
    phone.do('adding')
    for region in (0, 1):
        row, column = divmod(int(np.flatnonzero(regions == region)[-1]), shape[1])
        phone.click(row, column, shape)
    phone.do('mask')
    assert np.array_equal(phone.saved_mask('small'), regions < 2)


def test_a_missing_file_is_named(desktop, page):
    path = page.parent / 'viewer/small.js'
    moved = path.rename(path.with_suffix('.away'))
    try:
        desktop.driver.get(f'{page.as_uri()}#small')
        desktop.driver.refresh()
        desktop.wait(lambda: desktop.status == 'viewer/small.js cannot be loaded')
    finally:
        moved.rename(path)


def test_a_damaged_file_is_named(desktop, page):
    path = page.parent / 'viewer/small.js'
    content = path.read_bytes()
    desktop.open('large')  # whose data must not be shown in its place
    path.write_bytes(content[:-9])
    try:
        desktop.driver.get(f'{page.as_uri()}#small')
        desktop.wait(lambda: desktop.status == 'viewer/small.js is damaged')
    finally:
        path.write_bytes(content)


def test_clusters_alone_have_no_slider(desktop, page, tmp_path):
    pixels = np.repeat(np.uint8([0, 70, 200]), 12)[None, :, None].repeat(24, axis=0)
    Image.fromarray(pixels.repeat(3, axis=2)).save(tmp_path / 'bands.png')
    run(tmp_path / 'bands.png', tmp_path / 'out', choice=RegionChoice(regions=2, min_area=0))
    viewer = Viewer(desktop.driver, tmp_path / 'out/index.html', tmp_path)
    viewer.open('bands')
    slider = viewer.find('#viewer-detail')
    assert not slider.is_enabled()
    assert viewer.find('.detail label').text == 'Detail of clusters: none'
    assert viewer.regions == 2
    viewer.press('\ue014')  # an arrow, to the right
    assert viewer.regions == 2
    desktop.driver.get(page.as_uri())


@pytest.mark.parametrize('shape', [(4, 3000), (3000, 4)])
def test_a_strip_can_be_aimed_at(desktop, page, shape, tmp_path):
    pixels = np.zeros((*shape, 3), np.uint8)
    half = pixels if shape[0] < shape[1] else pixels.transpose(1, 0, 2)
    half[:2] = 255
    Image.fromarray(pixels).save(tmp_path / 'strip.png')
    run(tmp_path / 'strip.png', tmp_path / 'out')
    viewer = Viewer(desktop.driver, tmp_path / 'out/index.html', desktop.downloads)
    viewer.open('strip')
    assert min(viewer.find('.frame').size.values()) >= 24
    viewer.click(0, 0, shape)
    viewer.do('mask')
    assert np.array_equal(viewer.saved_mask('strip'), pixels[..., 0] > 0)
    desktop.driver.get(page.as_uri())


def test_edges_of_the_last_column_are_not_those_of_the_next_row(desktop):
    script = """
    const leaves = [0, 0, 1, 1, 0, 0, 2, 2];
    const tree = { width: 4, leaves, borders: [1, 2, 3, 5], regionOf: [0, 1, 2] };
    const out = new Uint32Array(8);
    Painter.prototype.drawEdges.call({ tree }, out, [1, 0, 0], null);
    return [...out].map((colour) => Number(colour === ACCENT));
    """
    assert desktop.driver.execute_script(script) == [0, 1, 1, 0, 0, 1, 1, 0]


def test_all_is_named_for_those_who_cannot_see_it(desktop):
    desktop.driver.get(desktop.page.as_uri())
    names = [
        link.accessible_name for link in desktop.driver.find_elements('css selector', 'a.picture')
    ]
    assert names == [f'View the regions of {name}.png' for name in sorted(SIZES)]
    desktop.open('small')
    controls = '#viewer button, #viewer input, #viewer .frame'
    for element in desktop.driver.find_elements('css selector', controls):
        assert element.accessible_name


def test_the_console_is_silent(desktop, phone):
    for viewer in (desktop, phone):
        viewer.open('small')
        entries = [entry['message'] for entry in viewer.driver.get_log('browser')]
        assert [entry for entry in entries if 'viewer/small.js' not in entry] == []

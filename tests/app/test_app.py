"""The app in a browser without a window, as people use it."""

import io
import ipaddress
import re
import socket
import subprocess
import sys
import urllib.request

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('gradio')

SECONDS = 90  # after which something hangs
SUBJECT = np.s_[40:100, 60:140]


@pytest.fixture(scope='module')
def address(root):
    """Where the app listens, started as a user starts it."""
    with subprocess.Popen(
        [sys.executable, '-u', '-m', 'dynaseg.cli', 'app', '--device', 'cpu', '--timeout', '60'],
        stdout=subprocess.PIPE,
        cwd=root,
        text=True,
    ) as process:
        found = next(filter(None, (re.search(r'http://\S+', line) for line in process.stdout)))
        yield found.group()
        process.kill()


@pytest.fixture(scope='module')
def photo(tmp_path_factory):
    rng = np.random.default_rng(0)
    pixels = np.full((150, 200, 3), (60, 90, 160)) + rng.integers(-5, 6, (150, 200, 1))
    pixels[SUBJECT] += 70
    path = tmp_path_factory.mktemp('photos') / 'square.png'
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


class Page:
    def __init__(self, driver, address, photo):
        self.driver = driver
        driver.get(address)
        self.wait(lambda: self.all('input[type=file]'))[0].send_keys(str(photo))
        self.wait(lambda: re.search(r'\d region', self.status) or self.all('.toast-body'))

    def wait(self, condition):
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, SECONDS).until(lambda _: condition())

    def all(self, selector, text=''):
        found = self.driver.find_elements('css selector', selector)
        return [one for one in found if text in one.text]

    @property
    def status(self):
        return self.all('#status')[0].text

    def click_view(self, x, y):
        """Click on the picture, at shares of its width and height."""
        from selenium.webdriver.common.action_chains import ActionChains

        (image,) = self.wait(lambda: self.all('#regions img'))
        self.driver.execute_script('arguments[0].scrollIntoView({block: "center"})', image)
        self.wait(lambda: self.is_at_rest(image))
        place = round((x - 0.5) * image.rect['width']), round((y - 0.5) * image.rect['height'])
        ActionChains(self.driver).move_to_element_with_offset(image, *place).click().perform()

    def is_at_rest(self, image):
        """Whether the picture is there and stays where it is for the time of two frames."""
        return self.driver.execute_async_script(
            """const [image, answer] = arguments, before = image.getBoundingClientRect().top;
            requestAnimationFrame(() => requestAnimationFrame(() => answer(
                image.naturalWidth > 0 && image.getBoundingClientRect().top === before)));""",
            image,
        )

    def save(self):
        """Save, and get the contents of the files by their names."""
        self.all('button', 'Save')[0].click()
        links = self.wait(lambda: self.all('#files a'))
        contents = {}
        for link in links:
            href = link.get_attribute('href')
            with urllib.request.urlopen(href) as answer:
                contents[href.rsplit('/', 1)[1]] = answer.read()
        return contents


def check_mask(content):
    mask = np.asarray(Image.open(io.BytesIO(content))) == 255
    expected = np.zeros((150, 200), bool)
    expected[SUBJECT] = True
    assert (mask & expected).sum() / (mask | expected).sum() > 0.95


@pytest.mark.parametrize('size', [(1280, 900), (390, 844)])
def test_a_region_is_clicked_and_saved(start_browser, address, photo, tmp_path, size):
    page = Page(start_browser(tmp_path, *size), address, photo)
    assert re.match(r'\d+ regions', page.status)
    page.click_view(0.5, 0.47)
    page.wait(lambda: 'selected' in page.status)
    contents = page.save()
    check_mask(contents['square-mask.png'])
    assert {'square-cutout.png', 'square-mask.json', 'square-polygons.json'} <= set(contents)
    assert next(iter(contents)) == 'square-cutout.png'
    for name in page.all('#files .stem'):  # not cut off
        assert name.get_property('scrollWidth') <= name.get_property('offsetWidth')
    width = page.driver.execute_script('return document.documentElement.scrollWidth')
    assert width <= size[0]
    page.all('button[aria-label="Clear"]')[0].click()
    page.wait(lambda: not page.driver.find_elements('css selector', '#files a'))


@pytest.mark.parametrize('suffix', ['heic', 'png'])
def test_what_phones_and_microscopes_write_is_opened(
    start_browser, address, photo, tmp_path, suffix
):
    image, path = Image.open(photo), tmp_path / f'square.{suffix}'
    if suffix == 'heic':
        pytest.importorskip('pillow_heif').from_pillow(image).save(path, quality=95)
    else:
        Image.fromarray(np.asarray(image.convert('L')).astype(np.uint16) * 100).save(path)
    page = Page(start_browser(tmp_path, 1280, 900), address, path)
    page.click_view(0.5, 0.47)
    page.wait(lambda: 'selected' in page.status)
    check_mask(page.save()['square-mask.png'])


def test_what_is_no_picture_is_said(start_browser, address, tmp_path):
    (tmp_path / 'words.jpg').write_text('no image')
    page = Page(start_browser(tmp_path, 1280, 900), address, tmp_path / 'words.jpg')
    page.wait(lambda: page.all('.toast-body', 'words.jpg: not a JPEG, PNG'))


def test_a_port_that_is_taken_is_named():
    from dynaseg.app.serve import serve_app

    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            OSError, match=rf'^cannot listen at 127.0.0.1:{port}: the port is taken; .* with --port'
        ):
            serve_app(host='127.0.0.1', port=port)


@pytest.mark.parametrize('host', ['::1', '192.0.2.1', 'no such host'])
def test_an_address_that_is_none_is_named(host):
    from dynaseg.app.serve import serve_app

    with pytest.raises(
        OSError, match=rf'^cannot listen at {host}: .* address of this machine, .* \(--host\)$'
    ):
        serve_app(host=host)


@pytest.mark.parametrize(
    'options', [{'port': 99999}, {'max_megabytes': float('inf')}, {'timeout': 1000000}]
)
def test_limits_and_ports_that_are_none_are_refused(options):
    from dynaseg.app.serve import serve_app

    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=rf'^{name} must be .*, got {value}$'):
        serve_app(**options)


def test_other_machines_are_told_an_address():
    from dynaseg.app.page import find_own_address

    assert not ipaddress.ip_address(find_own_address()).is_unspecified


def test_a_subject_is_scribbled_on_and_cut_out(start_browser, address, photo, tmp_path):
    from selenium.webdriver.common.action_chains import ActionChains

    page = Page(start_browser(tmp_path, 1280, 900), address, photo)
    page.all('button[role=tab]', 'Scribble')[0].click()
    canvas = page.wait(lambda: page.all('#canvas canvas'))[0]
    page.wait(lambda: canvas.rect['width'] > 100)

    def drag(down):  # the picture fills four fifths of the canvas's height
        y = round(down * canvas.rect['height'])
        chain = ActionChains(page.driver).move_to_element_with_offset(canvas, -40, y)
        chain.click_and_hold().move_by_offset(80, 0).release().perform()

    drag(-0.03)
    page.all('#canvas button[aria-label="Color"]')[0].click()
    page.wait(lambda: len(page.all('#canvas button.color')) > 1)
    page.all('#canvas button.color')[1].click()
    drag(0.28)
    page.all('button', 'Cut out the subject')[0].click()
    page.wait(lambda: 'selected' in page.status)
    check_mask(page.save()['square-mask.png'])

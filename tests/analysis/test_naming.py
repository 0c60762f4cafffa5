"""What is shown of clusters, and the page on which they are named, in a browser."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from dynaseg.analysis.naming_page import write_naming_page
from dynaseg.analysis.survey import count_borders, find_examples, survey_clusters
from dynaseg.io.names import ClusterNames, read_names, write_names

CLUSTERS = 44
SECONDS = 60  # after which something hangs
CLASSES = ('sky', 'road', 'car')


class Segmentor(torch.nn.Module):
    """Clusters are levels of red, the surer the more green there is."""

    num_classes = CLUSTERS

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def predict(self, img):
        hot = torch.nn.functional.one_hot((img[:, 2] // 5).long(), CLUSTERS).permute(0, 3, 1, 2)
        sureness = 0.5 + 0.4 * img[:, 1:2] / 255
        after = hot.roll(1, dims=1)  # the cluster that is next likely
        return hot * sureness + after * (1 - sureness) * 0.6 + (1 - sureness) * 0.4 / CLUSTERS


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Eight pictures of blocks: together they have all clusters but the last one."""
    folder = tmp_path_factory.mktemp('pictures')
    rng = np.random.default_rng(0)
    levels = rng.permutation(np.arange(8 * 24) % (CLUSTERS - 1)).reshape(8, 4, 6)
    levels[:, 0] = 7  # the most frequent one
    for number, level in enumerate(levels):
        pixels = rng.integers(0, 256, (4, 6, 3))
        pixels[..., 0] = 5 * level + 1
        blocks = pixels.astype(np.uint8).repeat(20, axis=0).repeat(20, axis=1)
        Image.fromarray(blocks).save(folder / f'{number}.png')
    return sorted(folder.iterdir())


@pytest.fixture(scope='module')
def survey(files):
    return survey_clusters(Segmentor(), files)


def test_survey_counts(survey, files):
    clusters, maps = survey
    assert np.array_equal(maps[3], np.array(Image.open(files[3]))[..., 0] // 5)
    assert sum(cluster.share for cluster in clusters) == pytest.approx(1)
    for label, cluster in enumerate(clusters):
        assert cluster.share == pytest.approx(np.mean([(one == label).mean() for one in maps]))
        assert cluster.images == [i for i, one in enumerate(maps) if (one == label).any()]
        assert len({example.image for example in cluster.surest}) == len(cluster.surest)
        for image in (example.image for example in (*cluster.surest, *cluster.unsure)):
            assert image in cluster.images
        if cluster.images:
            assert cluster.resembles[0][0] == (label + 1) % CLUSTERS
    assert clusters[7].images == list(range(8))
    assert clusters[-1].images == clusters[-1].surest == clusters[-1].borders == []
    pairs = sum(count_borders(one, CLUSTERS) for one in maps)
    most = clusters[7].borders[0]
    assert most == (pairs[7].argmax(), pytest.approx(pairs[7].max() / pairs[7].sum()))


def test_examples_are_the_surest_and_the_least_sure_part():
    labels = np.zeros((40, 60), int)
    labels[5:15, 5:15] = labels[5:15, 25:35] = labels[25:35, 5:15] = 1
    labels[30, 50] = 1  # too small to be shown
    sureness = np.full(labels.shape, 0.5)
    sureness[5:15, 25:35], sureness[25:35, 5:15], sureness[30, 50] = 0.9, 0.2, 0.01
    sure, unsure = find_examples(labels, sureness)[1]
    (x, y), radius, area, mean = sure
    assert (25 < 60 * x < 35, 5 < 40 * y < 15) == (True, True)
    assert (radius, area, mean) == pytest.approx((4.5 / 40, 100 / 2400, 0.9))
    (x, y), *_, mean = unsure
    assert (5 < 60 * x < 15, 25 < 40 * y < 35, round(mean, 6)) == (True, True, 0.2)


@pytest.fixture(scope='module')
def page(survey, files, tmp_path_factory):
    clusters, maps = survey
    folder = tmp_path_factory.mktemp('naming')
    facts = {'title': '<b>8 images', 'made_from': 'a person </script>', 'checkpoint_sha256': 'f0'}
    return write_naming_page(folder, clusters, files, maps, CLASSES, {5: 'odd & "even"'}, facts)


def test_the_page_has_its_pictures_and_needs_no_network(page):
    text = page.read_text()
    start = text.index('<script type="application/json" id="data">')
    data = json.loads(text[start:].partition('>')[2].partition('</script>')[0])
    assert data['madeFrom'] == 'a person </script>'
    for cluster in data['clusters']:
        for example in (*cluster['surest'], *cluster['unsure']):
            with Image.open(page.parent / example['picture']) as picture:
                assert list(picture.size) == example['size']
            left, top, width, height = example['box']
            assert 0 <= left <= left + width <= example['size'][0]
            assert 0 <= top <= top + height <= example['size'][1]
    sources = [text, *(path.read_text() for path in (page.parent / 'assets').iterdir())]
    for source in sources:
        assert not any(word in source for word in ('fetch(', '@import', 'url(', 'https:'))


class Naming:
    """The page in a browser, used as people use it."""

    def __init__(self, driver, page, downloads):
        self.driver, self.page, self.downloads = driver, page, downloads

    def open(self):
        self.driver.get(self.page.as_uri())
        self.driver.execute_script('localStorage.clear()')
        self.driver.refresh()

    def find(self, selector):
        return self.driver.find_element('css selector', selector)

    def find_all(self, selector):
        return self.driver.find_elements('css selector', selector)

    def press(self, *keys):
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def save_by_key(self):
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys

        ActionChains(self.driver).key_down(Keys.CONTROL).send_keys('s').key_up(
            Keys.CONTROL
        ).perform()

    def answer(self, question, accept=True):
        from selenium.webdriver.support import expected_conditions
        from selenium.webdriver.support.ui import WebDriverWait

        alert = WebDriverWait(self.driver, SECONDS).until(expected_conditions.alert_is_present())
        assert alert.text == question
        alert.accept() if accept else alert.dismiss()

    @property
    def heading(self):
        return self.find('h2').text

    @property
    def offered(self):
        return [item.text.split('\n') for item in self.find_all('#names li')]

    def saved(self):
        from selenium.webdriver.support.ui import WebDriverWait

        path = self.downloads / 'names.json'
        WebDriverWait(self.driver, SECONDS).until(lambda _: path.exists())
        names = read_names(path)
        path.unlink()
        return names


@pytest.fixture(scope='module')
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp('downloads')


@pytest.fixture(scope='module')
def desktop(start_browser, page, downloads):
    return Naming(start_browser(downloads, 1280, 900), page, downloads)


@pytest.fixture(scope='module')
def phone(start_browser, page, downloads):
    return Naming(start_browser(downloads, 390, 844), page, downloads)


def order(survey):
    """Clusters as the page lists them."""
    shares = [-cluster.share for cluster in survey[0]]
    return np.argsort(shares, kind='stable').tolist()


def test_the_keyboard_names_and_merges(desktop, survey):
    from selenium.webdriver.common.keys import Keys

    first, second, third, fourth = order(survey)[:4]
    desktop.open()
    assert desktop.heading == f'Cluster {first}'
    assert desktop.offered[:3] == [['1', 'sky'], ['2', 'road'], ['3', 'car']]
    desktop.press('2')  # which goes on
    assert desktop.heading == f'Cluster {second}'
    desktop.press('tram', Keys.ENTER)
    desktop.press('tr')  # is completed by the name that was given
    assert desktop.offered == [['tram', '1']]
    desktop.press(Keys.ENTER, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ENTER)
    desktop.press(Keys.ARROW_LEFT)
    assert desktop.heading == f'Cluster {fourth}: road'
    desktop.press(Keys.PAGE_UP, Keys.DELETE)
    assert desktop.heading == f'Cluster {third}'
    desktop.press('s', Keys.ESCAPE, 'S', Keys.ARROW_UP, Keys.ENTER)  # a name of its own
    desktop.save_by_key()
    names = desktop.saved()
    expected = {first: 'road', second: 'tram', third: 'S', fourth: 'road', 5: 'odd & "even"'}
    assert dict(names.names) == expected
    assert names.made_from == 'a person </script>'
    assert names.checkpoint_sha256 == 'f0'
    assert desktop.find('#progress').text.startswith('saved the names of 5 of 44 clusters')


def test_the_mouse_does_all(desktop, survey):
    cluster = order(survey)[6]
    desktop.open()
    desktop.find_all('nav button')[6].click()
    assert desktop.heading == f'Cluster {cluster}'
    desktop.find_all('#names li')[2].click()
    desktop.find_all('nav button')[6].click()
    assert desktop.heading == f'Cluster {cluster}: car'
    assert desktop.find_all('nav button')[6].text.split('\n')[0] == 'car'
    neighbour = desktop.find('#resembles button')
    name = neighbour.text.split('\n')[0]
    neighbour.click()
    assert desktop.heading.lower() == name
    desktop.find('#surest button').click()
    assert desktop.find('#picture img').get_attribute('naturalWidth') != '0'
    desktop.find('#picture').click()
    assert not desktop.find_all('dialog[open]')
    desktop.find('#save').click()
    assert dict(desktop.saved().names) == {cluster: 'car', 5: 'odd & "even"'}


def test_the_button_sets_what_is_typed(desktop, survey):
    """By the mouse there is no arrow that takes the mark from a name that begins so."""
    first, second, third = order(survey)[:3]
    desktop.open()
    for text in ('carpet', 'carp', 'CAR'):
        desktop.press(text)
        desktop.find('[data-do=set]').click()
    desktop.find('[data-do=set]').click()  # nothing: to the next one
    desktop.find('#save').click()
    expected = {first: 'carpet', second: 'carp', third: 'car', 5: 'odd & "even"'}
    assert dict(desktop.saved().names) == expected


@pytest.mark.parametrize('text', ['\u200b', 'a\u2028b', 'a\u0007'])
def test_what_is_no_name_is_refused(desktop, survey, text):
    desktop.open()
    heading = desktop.heading
    desktop.driver.execute_script(
        "const input = document.getElementById('name'); input.value = arguments[0];"
        "input.dispatchEvent(new Event('input'))",
        text,
    )
    desktop.find('[data-do=set]').click()
    assert desktop.find('#progress').text.startswith('a name is a line of 1 to 100 characters')
    assert desktop.heading == heading
    assert desktop.find('#name').get_attribute('value') == text
    desktop.save_by_key()
    assert desktop.find('#progress').text.startswith('a name is a line of 1 to 100 characters')
    kept = {'names': {'0': text, '1': 'road'}, 'madeFrom': ''}
    desktop.driver.execute_script(
        'localStorage.setItem(Object.keys(localStorage)[0], arguments[0])', json.dumps(kept)
    )
    desktop.driver.refresh()  # as one that an earlier page kept
    desktop.save_by_key()
    assert dict(desktop.saved().names) == {1: 'road'}


def test_names_stay_and_files_of_names_are_opened(desktop, tmp_path):
    desktop.open()
    desktop.press('1')
    desktop.driver.refresh()
    assert desktop.find('#progress').text.startswith('2 of 44 named')
    given = {0: 'a', 43: 'a', 2: 'پیاده\u200cرو'}
    write_names(tmp_path / 'names.json', ClusterNames(given, 'a test'))
    desktop.find('#open').send_keys(str(tmp_path / 'names.json'))
    desktop.answer('Replace the names of 2 clusters by those of names.json?', accept=False)
    assert desktop.find('#progress').text.startswith('2 of 44 named')
    desktop.find('#open').send_keys(str(tmp_path / 'names.json'))
    desktop.answer('Replace the names of 2 clusters by those of names.json?')
    assert desktop.find('#progress').text.startswith('3 of 44 named')
    desktop.driver.refresh()
    desktop.save_by_key()
    names = desktop.saved()
    assert dict(names.names) == given
    assert names.made_from == 'a test; then a person </script>'


@pytest.mark.parametrize(
    ('content', 'expected'),
    [
        ('{"names": {"44": "a"}}', '44 is none of the 44 clusters'),
        ('{"names": {"length": "a"}}', 'length is none of the 44 clusters'),
        ('{"names": ["a", "b"]}', 'it has no names of clusters'),
        ('null', 'it has no names of clusters'),
        ('{"names": {"1": ""}}', 'the name of cluster 1 is no line of 1 to 100 characters'),
        ('{"names": {"1": "a\\nb"}}', 'the name of cluster 1 is no line of 1 to 100 characters'),
        ('{"names": {"1": "a"}, "checkpoint_sha256": "f1"}', 'its names are of another checkpoint'),
    ],
)
def test_files_of_other_names_are_refused(desktop, tmp_path, content, expected):
    desktop.open()
    (tmp_path / 'other.json').write_text(content)
    desktop.find('#open').send_keys(str(tmp_path / 'other.json'))
    assert desktop.find('#progress').text == f'other.json: {expected}'


def test_a_whole_name_comes_before_longer_ones(desktop, survey):
    from selenium.webdriver.common.keys import Keys

    first, second = order(survey)[:2]
    desktop.open()
    desktop.press('road marking', Keys.ENTER, 'screen door', Keys.ENTER)
    desktop.press(Keys.PAGE_UP, Keys.PAGE_UP, 'Road', Keys.ENTER)
    desktop.press('screen')  # saved without Enter, completed by the marked name
    desktop.save_by_key()
    names = desktop.saved().names
    assert names[first] == 'road'
    assert 'screen door' in (names[second], names[order(survey)[2]])


def test_a_key_that_is_held_names_one_cluster(desktop):
    desktop.open()
    for _ in range(3):
        desktop.driver.execute_cdp_cmd(
            'Input.dispatchKeyEvent',
            {'type': 'keyDown', 'key': '1', 'text': '1', 'autoRepeat': True},
        )
    assert desktop.find('#progress').text.startswith('1 of 44 named')


def test_tabs_share_the_names(desktop):
    desktop.open()
    first = desktop.driver.current_window_handle
    desktop.driver.switch_to.new_window('tab')
    desktop.driver.get(desktop.page.as_uri())
    desktop.press('1', '2')
    desktop.driver.close()
    desktop.driver.switch_to.window(first)
    assert desktop.find('#progress').text.startswith('3 of 44 named')


def test_nothing_is_saved_without_names(desktop, survey):
    from selenium.webdriver.common.keys import Keys

    desktop.open()
    desktop.find_all('nav button')[order(survey).index(5)].click()
    desktop.press(Keys.DELETE)
    desktop.save_by_key()
    assert desktop.find('#progress').text == 'no cluster has a name yet'


def test_the_browser_finds_the_names_of_a_checkpoint_on_another_page(page, survey, files, tmp_path):
    clusters, maps = survey
    facts = {'title': 'the same', 'checkpoint_sha256': 'f0'}
    ids = []
    for names in ({5: 'odd & "even"'}, {5: 'odd'}):
        path = write_naming_page(tmp_path, clusters[:], files, maps, ('sea',), names, facts)
        ids += re.findall('"id": "([0-9a-f]+)"', path.read_text())
    (shown,) = re.findall('"id": "([0-9a-f]+)"', page.read_text())
    assert [one == shown for one in ids] == [True, False]


def test_a_phone_has_all_in_its_width(phone):
    phone.open()
    assert phone.driver.execute_script('return document.documentElement.scrollWidth') == 390
    for selector in ('#save', '#form', '#names', '#surest', '#borders', '#resembles'):
        box = phone.find(selector).rect
        assert 0 <= box['x'] <= box['x'] + box['width'] <= 390
    for button in phone.find_all('header .button, header button, form button, .heading button'):
        assert min(button.size.values()) >= 36
    first = phone.heading
    phone.find_all('#names li')[0].click()
    assert phone.heading != first
    phone.find('#save').click()
    assert phone.saved().names[int(first.split()[1])] == 'sky'

import re
from html.parser import HTMLParser

import pytest

from dynaseg.io.pages import write_assets
from dynaseg.photos.page import ASSETS, PAGE_SIZE, Overview, draw_chart, render_page

VOID = {'meta', 'img', 'path', 'br', 'link', 'input'}


class Checker(HTMLParser):
    """Checks that elements are nested well, and collects addresses."""

    def __init__(self):
        super().__init__()
        self.open, self.addresses, self.elements, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.addresses += [value for name, value in attrs if name in ('src', 'href')]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def check(page):
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    return checker


def render(records, settings=None, page=0, others=0):
    """Render the page of records, after as many others."""
    overview = Overview()
    for number in range(others):
        overview.note(number, records[0])
    for number, record in enumerate(records, others):
        overview.note(number, record)
    return render_page(records, settings or {}, overview, page)


@pytest.fixture
def record():
    return {
        'file': '/photos/sub/a&b <1>#?.jpg',
        'name': 'a&b <1>#?',
        'size': [640, 480],
        'detail': 0.5,
        'regions': 1234,
        'clusters': 3,
        'iterations': 5,
        'stop_reason': 'converged',
        'min_clusters': 2,
        'seconds': 1.25,
        'clusters_by_iteration': [9, 5, 5, 4, 4, 3],
    }


def test_images_are_in_the_order_of_their_names_whichever_was_done_first(record):
    files = ('/photos/b.jpg', '/photos/a.jpg', '/photos/sub/a.jpg')
    text = ''.join(check(render([record | {'file': file} for file in files])).text)
    assert re.findall(r'^\w\.jpg$|^sub$', text, re.MULTILINE) == ['a.jpg', 'b.jpg', 'a.jpg', 'sub']


def test_page_shows_what_the_record_says(record):
    second = record | {'file': '/photos/c.jpg', 'name': 'c', 'seconds': 3.15, 'regions': 1}
    checker = check(render([record, second], {'config': 'a.py', 'seed': 0, 'regions': None}))
    text = ''.join(checker.text)
    assert '2 images · 2.2 s per image' in text
    for expected in (
        'a&b <1>#?.jpg',
        'sub',
        'c.jpg',
        '640 \N{MULTIPLICATION SIGN} 480',
        '1,234 regions · 3 clusters · 1.2 s',
        '1 region · ',
        'labels that no longer changed',
        'a.py',
    ):
        assert expected in text
    assert '/photos' not in text
    assert 'None' not in text
    assert checker.elements.count('svg') == 2
    assert {
        'thumbnails/a%26b%20%3C1%3E%23%3F.jpg',
        'overlays/a%26b%20%3C1%3E%23%3F.jpg',
        'labels/a%26b%20%3C1%3E%23%3F.png',
        'regions/a%26b%20%3C1%3E%23%3F.png',
        'hierarchy/a%26b%20%3C1%3E%23%3F.png',
    } <= set(checker.addresses)


def test_page_needs_no_network(record, tmp_path):
    write_assets(ASSETS, tmp_path)
    for text in (
        render([record]),
        *(path.read_text() for path in (tmp_path / 'assets').iterdir()),
    ):
        assert not re.search(r'https?:|@import|url\(|fetch|XMLHttpRequest', text)
    addresses = check(render([record])).addresses
    folders = {address.split('/')[0] for address in addresses}
    assert folders == {'thumbnails', 'overlays', 'labels', 'regions', 'hierarchy', 'assets'}
    for address in addresses:
        assert not address.startswith('assets/') or (tmp_path / address).is_file()


def test_skipped_images_are_listed(record):
    skipped = {'file': '/photos/<bad>\udce9.jpg', 'name': 'bad', 'error': 'damaged & <cut>'}
    page = render([record, skipped])
    page.encode('utf-8')
    text = ''.join(check(page).text)
    assert '1 image · ' in text
    assert '1 skipped' in text
    assert '<bad>\N{REPLACEMENT CHARACTER}.jpg' in text
    assert 'damaged & <cut>' in text


def test_text_of_any_kind_is_escaped(record):
    evil = '"><script>alert(1)</script>'
    checker = check(
        render(
            [record | {'file': f'/{evil}', 'name': evil, 'stop_reason': evil}],
            {'config': evil},
        )
    )
    own = [address for address in checker.addresses if address.endswith('.js')]
    assert checker.elements.count('script') == len(own)


def test_image_that_was_not_fitted_has_no_chart(record):
    trained = record | {'iterations': 0, 'clusters_by_iteration': [], 'min_clusters': 1}
    checker = check(render([trained]))
    assert 'svg' not in checker.elements
    assert 'predicted without being fitted' in ''.join(checker.text)


def test_empty_page():
    assert '0 images' in ''.join(check(render([])).text)


def test_pages_lead_to_one_another(record):
    for page, others, expected in [
        (0, 0, set()),
        (0, PAGE_SIZE, {'index-2.html'}),
        (1, PAGE_SIZE, {'index.html'}),
        (1, 2 * PAGE_SIZE, {'index.html', 'index-3.html'}),
    ]:
        addresses = check(render([record], page=page, others=others)).addresses
        assert {address for address in addresses if address.startswith('index')} == expected


def test_overview_takes_the_last_record_of_an_image(record):
    overview = Overview()
    overview.note(0, {'file': '/photos/a.jpg', 'error': 'x'})
    overview.note(0, record | {'file': '/photos/a.jpg'})
    assert overview.describe() == '1 image · 1.2 s per image'
    assert overview.num_pages == 1


def test_the_chart_ends_at_the_number_of_clusters_that_is_shown(record):
    # The fit ended at 3; without small parts 2 are left.
    page = render([record | {'clusters': 2}])
    text = re.sub(r'\s+', ' ', ''.join(check(page).text))
    assert '2 are left without small parts' in text
    assert ' · 2 clusters · ' in text
    assert '<span class="end" style="top: 77.78%">2</span>' in page
    assert 'are left' not in render([record])


def points(chart):
    return [tuple(map(float, point.split(','))) for point in chart['line'][1:].split('L')]


def test_chart_draws_the_counts():
    # 300 wide for 4 steps, 100 high for 8 clusters, 0 at the bottom.
    assert points(draw_chart([8, 6, 2, 2, 4], 4)) == [
        (0, 0),
        (75, 25),
        (150, 75),
        (225, 75),
        (300, 50),
    ]


def test_chart_leaves_out_points_within_runs():
    assert points(draw_chart([4, 4, 4, 4, 2], 2)) == [(0, 0), (225, 0), (300, 50)]
    assert points(draw_chart([4] * 1000, 4)) == [(0, 0), (300, 0)]


def test_chart_of_one_iteration_is_a_level_line():
    assert points(draw_chart([3], 3)) == [(0, 0), (300, 0)]


def test_chart_draws_the_floor_and_the_end():
    chart = draw_chart([8, 3], 2, floor=2)
    assert chart['floor'] == 'M0,75H300'
    assert chart['drop'] == 'M300,62.5V75'
    assert chart['end'] == '75'
    assert draw_chart([4, 2], 2)['floor'] is None

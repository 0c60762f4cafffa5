import re
from html.parser import HTMLParser

import pytest

from dynaseg.photos.page import draw_chart, render_page

VOID = {'meta', 'img', 'path', 'br', 'link'}


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


@pytest.fixture
def record():
    return {
        'file': '/photos/sub/a&b <1>#?.jpg',
        'name': 'a&b <1>#?',
        'size': [640, 480],
        'clusters': 3,
        'components': 1234,
        'iterations': 5,
        'stop_reason': 'settled',
        'floor': 2,
        'seconds': 1.25,
        'clusters_by_iteration': [9, 5, 5, 4, 4, 3],
    }


def test_page_shows_what_the_record_says(record):
    second = record | {'file': '/photos/c.jpg', 'name': 'c', 'seconds': 3.15}
    checker = check(render_page([record, second], {'config': 'a.py', 'seed': 0}))
    text = ''.join(checker.text)
    assert '2 images · 2.2 s an image' in text
    for expected in (
        'sub/a&b <1>#?.jpg',
        'c.jpg',
        '640 ',
        ' 480',
        '1,234',
        'settled labels',
        'a.py',
    ):
        assert expected in text
    assert '/photos' not in text
    assert checker.elements.count('svg') == 2
    assert {
        'thumbnails/a%26b%20%3C1%3E%23%3F.jpg',
        'overlays/a%26b%20%3C1%3E%23%3F.jpg',
        'labels/a%26b%20%3C1%3E%23%3F.png',
    } <= set(checker.addresses)


def test_page_needs_no_network(record):
    page = render_page([record], {})
    assert not re.search(r'https?:|//|@import|url\(', page)
    folders = {address.split('/')[0] for address in check(page).addresses}
    assert folders == {'thumbnails', 'overlays', 'labels'}


def test_skipped_images_are_listed(record):
    skipped = {'file': '/photos/<bad>\udce9.jpg', 'name': 'bad', 'error': 'damaged & <cut>'}
    page = render_page([record, skipped], {})
    page.encode('utf-8')
    text = ''.join(check(page).text)
    assert '1 image · ' in text
    assert '1 skipped' in text
    assert '<bad>\N{REPLACEMENT CHARACTER}.jpg' in text
    assert 'damaged & <cut>' in text


def test_image_that_was_not_fitted_has_no_chart(record):
    trained = record | {'iterations': 0, 'clusters_by_iteration': [], 'floor': 1}
    checker = check(render_page([trained], {}))
    assert 'svg' not in checker.elements
    assert 'predicted without being fitted' in ''.join(checker.text)


def test_empty_page():
    assert '0 images' in ''.join(check(render_page([], {})).text)


def points(svg):
    line = re.search(r'class="line" d="M([^"]*)"', svg)[1]
    return [tuple(map(float, point.split(','))) for point in line.split('L')]


def test_chart_draws_the_counts():
    # 300 wide for 4 steps, 100 high for 8 clusters, 0 at the bottom.
    assert points(draw_chart([8, 6, 2, 2, 4])) == [
        (0, 0),
        (75, 25),
        (150, 75),
        (225, 75),
        (300, 50),
    ]


def test_chart_leaves_out_points_within_runs():
    assert points(draw_chart([4, 4, 4, 4, 2])) == [(0, 0), (225, 0), (300, 50)]
    assert points(draw_chart([4] * 1000)) == [(0, 0), (300, 0)]


def test_chart_of_one_iteration_is_a_level_line():
    assert points(draw_chart([3])) == [(0, 0), (300, 0)]


def test_chart_draws_the_floor():
    assert 'class="floor" d="M0,75H300"' in draw_chart([8, 3], floor=2)
    assert 'floor' not in draw_chart([4, 2])

"""The pages that show segmented images, to be opened in a browser."""

import math
import os
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from statistics import median
from urllib.parse import quote

from dynaseg.io.pages import load_templates, show_text
from dynaseg.io.palette import distinct_palette
from dynaseg.photos.legend import Legend

PAGE_SIZE = 100  # images
LEGEND_NAME = 'assets/legend.jpg'
ASSETS = Path(__file__).with_name('assets')
TEMPLATES = load_templates(Path(__file__).with_name('templates'))
STOP_REASONS = {
    'min_clusters': 'the least number of clusters',
    'converged': 'labels that no longer changed',
    'iterations': 'the limit on iterations',
    'trained': 'not fitted',
}
CHART_WIDTH, CHART_HEIGHT = 300, 100


class Overview:
    """What is said of all images together, kept up to date record by record.

    Examples:
        >>> overview = Overview()
        >>> overview.note(0, {'file': '/photos/a.jpg', 'seconds': 1.5})
        >>> overview.note(1, {'file': '/photos/sub/b.jpg', 'error': 'damaged'})
        >>> overview.describe(), overview.shorten('/photos/sub/b.jpg')
        ('1 image · 1.5 s per image · 1 skipped', 'sub/b.jpg')
    """

    def __init__(self) -> None:
        self._seconds: list[float] = []  # by image; nan where it was skipped
        self._folder: str | None = None  # that all files share

    @property
    def num_pages(self) -> int:
        """Number of pages, at least one."""
        return max(1, math.ceil(len(self._seconds) / PAGE_SIZE))

    def note(self, number: int, record: dict) -> None:
        """Note the record of an image, the next one or an earlier one, in place of its former."""
        seconds = math.nan if 'error' in record else record['seconds']
        self._seconds[number : number + 1] = [seconds]
        folder = os.path.dirname(record['file'])
        folders = [folder] if self._folder is None else [folder, self._folder]
        self._folder = os.path.commonpath(folders)

    def describe(self) -> str:
        """Say how many images there are, and how long one took."""
        seconds = [value for value in self._seconds if not math.isnan(value)]
        parts = [f'{len(seconds):,} image{"s" * (len(seconds) != 1)}']
        if seconds:
            parts.append(f'{median(seconds):.1f} s per image')
        if len(seconds) < len(self._seconds):
            parts.append(f'{len(self._seconds) - len(seconds):,} skipped')
        return ' · '.join(parts)

    def shorten(self, file: str) -> str:
        """Shorten a path to what tells it apart: below the folder that all share."""
        return os.path.relpath(file, self._folder)


def page_name(page: int) -> str:
    """Name a page, numbered from 0.

    Examples:
        >>> page_name(0), page_name(1)
        ('index.html', 'index-2.html')
    """
    return f'index-{page + 1}.html' if page else 'index.html'


def render_page(
    records: Sequence[dict],
    settings: dict[str, object],
    overview: Overview,
    page: int = 0,
    legend: Legend | None = None,
) -> str:
    """Render a page, to be written beside the outputs of its images.

    Args:
        records: its images', as :func:`dynaseg.segment_images` returns them.
        settings: what they were segmented with.
        overview: of the images of all pages, which the first one shows.
        page: its number, from 0.
        legend: of labels that mean the same in every image, for the page to show.

    Returns:
        HTML that needs nothing but the outputs and the assets.
    """
    records = sorted(records, key=lambda record: record['file'])  # processes end in any order
    others = {'previous': page - 1, 'next': page + 1}
    names = settings.get('label_names', ())
    colours = dict(zip(names, distinct_palette(len(names)).tolist(), strict=True))
    titles = [overview.shorten(record['file']) for record in records]
    return TEMPLATES.get_template('page.html').render(
        # Totals on other pages would go out of date: only those of new records are written again.
        summary=f'Page {page + 1}' if page else overview.describe(),
        settings={
            key: value
            for key, value in settings.items()
            if value is not None and not key.endswith('_sha256') and key != 'label_names'
        },
        legend=legend,
        legend_address=LEGEND_NAME,
        images=[
            _prepare_card(record, title, colours)
            for record, title in zip(records, titles, strict=True)
            if 'error' not in record
        ],
        skipped=[
            (title, record['error'])
            for record, title in zip(records, titles, strict=True)
            if 'error' in record
        ],
        page=page + 1,
        others={
            word: page_name(other)
            for word, other in others.items()
            if 0 <= other < overview.num_pages
        },
    )


def draw_chart(counts: Sequence[int], clusters: int, floor: int = 1) -> dict[str, object]:
    """Draw the number of clusters by iteration, in a box of 300 by 100.

    Args:
        counts: number of clusters at the start and after each iteration.
        clusters: their number in the end, when small parts have been removed.
        floor: the number below which the image was not to fall, drawn where it is over 1.

    Returns:
        What the template of charts shows: SVG paths, numbers and heights in per cent.

    Examples:
        >>> draw_chart([4, 2], 2)['line']
        'M0,0L300,50'
    """
    top = max(*counts, clusters, floor)
    right = max(len(counts) - 1, 1)

    def height(count: int) -> str:
        return f'{(1 - count / top) * CHART_HEIGHT:.4g}'

    def place(iteration: int, count: int) -> str:
        return f'{iteration / right * CHART_WIDTH:.4g},{height(count)}'

    # A run of equal counts needs its two ends alone.
    points = []
    for count, run in groupby(range(len(counts)), counts.__getitem__):
        run = list(run)
        points += [place(run[0], count), place(run[-1], count)]
    points.append(place(right, counts[-1]))
    return {
        'line': 'M' + 'L'.join(dict.fromkeys(points)),
        'floor': f'M0,{height(floor)}H{CHART_WIDTH}' if floor > 1 else None,
        'drop': f'M{CHART_WIDTH},{height(counts[-1])}V{height(clusters)}',
        'end': height(clusters),
        'top': top,
        'counts': (counts[0], counts[-1]),
    }


def _prepare_card(record: dict, title: str, colours: dict[str, list[int]]) -> dict[str, object]:
    """Prepare what the template of an image's card shows; ``colours`` are of labels, by name."""
    name = show_text(quote(record['name']))
    counts = record['clusters_by_iteration']
    folder, file = os.path.split(title)
    return record | {
        'title': file,
        'folder': folder,
        'address': name,
        'stopped_by': STOP_REASONS.get(record['stop_reason'], record['stop_reason']),
        'labels': [
            {'name': name, 'share': share, 'colour': colours[name]}
            for name, share in record.get('shares', {}).items()
            if name in colours
        ],
        'chart': draw_chart(counts, record['clusters'], record['min_clusters']) if counts else None,
    }

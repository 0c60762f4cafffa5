import html
import os
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from statistics import median
from string import Template
from urllib.parse import quote

PAGE = Template(Path(__file__).with_name('page.html').read_text('utf-8'))
IMAGE = Template(Path(__file__).with_name('page_image.html').read_text('utf-8'))
STOP_REASONS = {
    'min_clusters': 'the least number of clusters',
    'converged': 'labels that no longer changed',
    'iterations': 'the limit on iterations',
    'trained': 'not fitted',
}
CHART_WIDTH, CHART_HEIGHT = 300, 100


def render_page(records: Iterable[dict], settings: dict[str, object]) -> str:
    """Render the page that shows segmented images, to be written beside their outputs.

    Args:
        records: records of images, as :func:`dynaseg.photos.segment_images` returns them.
        settings: the settings they were segmented with.

    Returns:
        HTML that needs nothing but the outputs.
    """
    records = list(records)
    titles = _title([record['file'] for record in records])
    done = [record for record in records if 'error' not in record]
    skipped = [record for record in records if 'error' in record]
    summary = [_count(len(done), 'image')]
    if done:
        summary.append(f'{median(record["seconds"] for record in done):.1f} s an image')
    if skipped:
        summary.append(f'{len(skipped)} skipped')
    shown = {
        key: value
        for key, value in settings.items()
        if value is not None and not key.endswith('_sha256')
    }
    return PAGE.substitute(
        summary=' · '.join(summary),
        settings=' · '.join(f'{key} <b>{_text(value)}</b>' for key, value in shown.items()),
        skipped=_render_skipped([(titles[record['file']], record['error']) for record in skipped]),
        images='\n'.join(_render_image(record, titles[record['file']]) for record in done),
    )


def draw_chart(counts: list[int], floor: int = 1) -> str:
    """Draw the number of clusters by iteration.

    Args:
        counts: number of clusters at the start and after each iteration.
        floor: the number below which the image was not to fall, drawn where it is over 1.

    Returns:
        An SVG element that stretches to its box.

    Example:
        >>> draw_chart([4, 2]).count('<path')
        2
    """
    top = max(*counts, floor)
    right = max(len(counts) - 1, 1)

    def place(iteration: int, count: int) -> str:
        return f'{iteration / right * CHART_WIDTH:.4g},{(1 - count / top) * CHART_HEIGHT:.4g}'

    # A run of equal counts needs its two ends alone.
    points = []
    for count, run in groupby(range(len(counts)), counts.__getitem__):
        run = list(run)
        points += [place(run[0], count), place(run[-1], count)]
    points.append(place(right, counts[-1]))
    line = 'M' + 'L'.join(dict.fromkeys(points))
    level = f'{(1 - floor / top) * CHART_HEIGHT:.4g}'
    dashes = f'<path class="floor" d="M0,{level}H{CHART_WIDTH}"/>' if floor > 1 else ''
    return (
        f'<svg viewBox="0 0 {CHART_WIDTH} {CHART_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="Clusters by iteration: from {counts[0]} to {counts[-1]}">'
        f'<path class="area" d="{line}V{CHART_HEIGHT}H0Z"/>{dashes}'
        f'<path class="line" d="{line}"/></svg>'
    )


def _render_image(record: dict, title: str) -> str:
    width, height = record['size']
    name = quote(record['name'])
    return IMAGE.substitute(
        title=_text(title),
        width=width,
        height=height,
        image=f'thumbnails/{name}.jpg',
        overlay=f'overlays/{name}.jpg',
        labels=f'labels/{name}.png',
        clusters=record['clusters'],
        components=f'{record["components"]:,}',
        iterations=f'{record["iterations"]:,}',
        seconds=f'{record["seconds"]:.1f} s',
        stop_reason=_text(STOP_REASONS.get(record['stop_reason'], record['stop_reason'])),
        floor=f' (dashed: at least {record["min_clusters"]})' if record['min_clusters'] > 1 else '',
        chart=_render_chart(
            record['clusters_by_iteration'], record['min_clusters'], record['iterations']
        ),
    )


def _render_chart(counts: list[int], floor: int, iterations: int) -> str:
    if not iterations:
        return '<p class="note">The network predicted without being fitted to the image.</p>'
    top = max(*counts, floor)
    end = (1 - counts[-1] / top) * 100
    return (
        f'<div class="plot"><span class="top">{top}</span><span class="bottom">0</span>'
        f'{draw_chart(counts, floor)}'
        f'<span class="end" style="top:{end:.4g}%">{counts[-1]}</span></div>'
        f'<div class="axis"><span>0</span><span>iteration</span><span>{iterations:,}</span></div>'
    )


def _render_skipped(skipped: list[tuple[str, str]]) -> str:
    if not skipped:
        return ''
    items = ''.join(f'<li><b>{_text(title)}</b> {_text(error)}</li>' for title, error in skipped)
    return f'<details class="skipped" open><summary>Skipped</summary><ul>{items}</ul></details>'


def _title(files: list[str]) -> dict[str, str]:
    """Shorten paths to what tells them apart: below the folder that they share."""
    folders = [os.path.dirname(file) for file in files]
    shared = os.path.commonpath(folders) if folders else ''
    return {file: os.path.relpath(file, shared) for file in files}


def _count(number: int, noun: str) -> str:
    return f'{number:,} {noun}' if number == 1 else f'{number:,} {noun}s'


def _text(value: object) -> str:
    """Escape for HTML; bytes of file names that are no text become a mark."""
    return html.escape(os.fsencode(str(value)).decode('utf-8', 'replace'))

import html
from pathlib import Path
from string import Template

import numpy as np
from matplotlib.figure import Figure

PAGE = Template(Path(__file__).with_name('page.html').read_text('utf-8'))
PROTOCOLS = {
    'hungarian': 'Hungarian matching, once for the set',
    'majority': 'Majority vote (over-clustering)',
    'linear_probe': 'Linear probe (trained with labels)',
}
NUM_LISTED = 3  # classes of a cluster


def draw_confusion(table: np.ndarray, matched: np.ndarray, names: list[str], path: Path) -> None:
    """Draw how the pixels of each cluster spread over the classes.

    Args:
        table: contingency table, (K, C).
        matched: the class of each cluster, or -1, (K,).
        names: the classes' names.
        path: the PNG to write, whatever its suffix.
    """
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    rows = np.argsort(np.where(matched < 0, len(names), matched), kind='stable')
    figure = Figure(figsize=(2.5 + 0.42 * len(names), 2 + 0.32 * len(rows)), layout='constrained')
    axes = figure.subplots()
    axes.imshow(shares[rows], cmap='Blues', vmin=0, vmax=1, aspect='auto')
    axes.set_xticks(range(len(names)), names, rotation=60, ha='right')
    labels = [names[matched[row]] if matched[row] >= 0 else 'unmatched' for row in rows]
    axes.set_yticks(
        range(len(rows)), [f'{label}  {row}' for row, label in zip(rows, labels, strict=True)]
    )
    axes.set_xlabel('class')
    axes.set_ylabel('matched class, cluster')
    for place, row in enumerate(rows):
        for column in np.flatnonzero(shares[row] >= 0.01):
            share = shares[row, column]
            colour = 'white' if share > 0.5 else 'black'
            text = f'{100 * share:.0f}'
            axes.text(column, place, text, ha='center', va='center', color=colour, fontsize=8)
    axes.set_title("per cent of each cluster's pixels", fontsize=10)
    figure.savefig(path, format='png', dpi=110)


def render_analysis(analysis: dict, colours: list[list[int]], pictures: dict[str, str]) -> str:
    """Render the page of :func:`dynaseg.analysis.analyze_clusters`.

    Args:
        analysis: what ``clusters.json`` holds.
        colours: RGB of each cluster, 0 to 255.
        pictures: files below the page's folder, by image name.

    Returns:
        HTML that needs nothing but the other outputs.
    """
    facts = [
        analysis['config'],
        analysis['checkpoint'] or 'fresh weights',
        f'{analysis["images"]} images of {analysis["dataset"]}',
        f'{len(analysis["clusters"])} clusters, {analysis["empty_clusters"]} of them empty',
    ]
    return PAGE.substitute(
        facts=' · '.join(html.escape(fact) for fact in facts),
        figures=_rows(
            [PROTOCOLS[name], *(_percent(one[key], 2) for key in ('mIoU', 'aAcc', 'mAcc'))]
            for name, one in analysis['figures'].items()
        ),
        clusters=''.join(
            _render_cluster(record, analysis['figures']['hungarian']['IoU'], colour)
            for record, colour in zip(analysis['clusters'], colours, strict=True)
        ),
        pictures=''.join(
            f'<figure><figcaption>{html.escape(name)}</figcaption><a href="{file}"><img '
            f'src="{file}" alt="Image, clusters, matched classes, true classes" loading="lazy">'
            f'</a></figure>'
            for name, file in pictures.items()
        ),
    )


def _render_cluster(record: dict, iou: dict[str, float | None], colour: list[int]) -> str:
    matched = record['matched']
    classes = list(record['classes'].items())[:NUM_LISTED]
    cells = [
        f'<span class="swatch" style="background:rgb{tuple(colour)}"></span>{record["cluster"]}',
        'unmatched' if matched is None else html.escape(matched),
        '' if matched is None else _percent(iou[matched]),
        _percent(record['share']),
        str(record['images']),
        html.escape(', '.join(f'{name} {_percent(share)}' for name, share in classes)) or 'empty',
    ]
    return _rows([cells])


def _rows(rows: object) -> str:
    return ''.join('<tr>' + ''.join(f'<td>{cell}</td>' for cell in row) + '</tr>\n' for row in rows)


def _percent(value: float, digits: int = 1) -> str:
    return f'{100 * value:.{digits}f}'

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from dynaseg.io.pages import load_templates

TEMPLATES = load_templates(Path(__file__).parent)
PROTOCOLS = {
    'hungarian': 'Hungarian matching, once for the set',
    'majority': 'Majority vote (over-clustering)',
    'linear_probe': 'Linear probe (trained with labels)',
}
NUM_LISTED = 3  # classes per cluster


def draw_confusion(table: np.ndarray, matched: np.ndarray, names: list[str], path: Path) -> None:
    """Draw how the pixels of each cluster are distributed over the classes.

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
        HTML that needs only the other outputs.
    """
    figures = analysis['figures']
    return TEMPLATES.get_template('page.html').render(
        facts=[
            analysis['config'],
            analysis['checkpoint'] or 'fresh weights',
            f'{analysis["images"]} images of {analysis["dataset"]}',
            f'{len(analysis["clusters"])} clusters, {analysis["empty_clusters"]} of them empty',
        ],
        figures={
            PROTOCOLS[name]: [one[key] for key in ('mIoU', 'aAcc', 'mAcc')]
            for name, one in figures.items()
        },
        clusters=[
            record
            | {
                'colour': colour,
                'iou': figures['hungarian']['IoU'].get(record['matched']),
                'largest': list(record['classes'].items())[:NUM_LISTED],
            }
            for record, colour in zip(analysis['clusters'], colours, strict=True)
        ],
        pictures=pictures,
        has_naming='naming' in analysis,
    )

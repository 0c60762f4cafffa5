from dynaseg.analysis.page import render_analysis

EVIL = '<script>alert("1")</script>'


def test_the_page_shows_the_figures_and_escapes_text():
    figures = {'mIoU': 0.12345, 'aAcc': 0.5, 'mAcc': 0.25, 'IoU': {'sky': 0.4}}
    clusters = [
        {'matched': 'sky', 'share': 0.75, 'images': 3, 'classes': {'sky': 0.9, EVIL: 0.1}},
        {'matched': None, 'share': 0.25, 'images': 0, 'classes': {}},
    ]
    analysis = {
        'config': EVIL,
        'checkpoint': None,
        'images': 3,
        'dataset': 'photographs',
        'figures': {'hungarian': figures},
        'clusters': [record | {'cluster': number} for number, record in enumerate(clusters)],
        'empty_clusters': 1,
    }
    page = render_analysis(analysis, [[1, 2, 3], [4, 5, 6]], {'a & b': 'pictures/a.jpg'})
    escaped = '&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;'
    for text in (
        f'<p>{escaped} · fresh weights · 3 images of photographs · 2 clusters, 1 of them empty</p>',
        '<td>12.35</td><td>50.00</td><td>25.00</td>',
        f'<td>sky</td><td>40.0</td><td>75.0</td><td>3</td><td>sky 90.0, {escaped} 10.0</td>',
        '<td>unmatched</td><td></td><td>25.0</td><td>0</td><td>empty</td>',
        'background: rgb(4, 5, 6)',
        '<figcaption>a &amp; b</figcaption>',
    ):
        assert text in page
    assert '<script' not in page

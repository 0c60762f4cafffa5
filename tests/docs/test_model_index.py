from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_configs_and_figures_of_the_index_are_those_of_the_docs():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text('utf-8'))
    pages = ''.join(path.read_text('utf-8') for path in (ROOT / 'docs').glob('*.md'))
    for model in index['Models']:
        config = ROOT / model['Config']
        assert config.is_file()
        assert config.name in pages
        for result in model['Results']:
            for value in result['Metrics'].values():
                assert f'{value}'.removeprefix('0').rstrip('0') in pages, (model['Name'], value)

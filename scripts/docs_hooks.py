"""MkDocs hooks: add assets/ and data/README.md, which are beside docs/, to the site."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ASSETS = 'assets'
DATA = 'data/README.md'


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pictures and the page of the data sets, under the names of their folders."""
    root = Path(config.docs_dir).parent
    for path in (*sorted((root / ASSETS).rglob('*.*')), root / DATA):
        name = path.relative_to(root).as_posix()
        files.append(File(name, str(root), config.site_dir, config.use_directory_urls))
    return files


def on_page_markdown(markdown: str, page: Page, **kwargs) -> str:
    """Adjust links to these: in the repository they are one folder further up."""
    if page.file.src_uri == DATA:
        return markdown.replace('](../docs/', '](../')
    return markdown.replace(f'](../{ASSETS}/', f']({ASSETS}/').replace(f'](../{DATA}', f']({DATA}')

"""Hooks of MkDocs: the pictures of assets/, which lie beside docs/, are part of the site."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ASSETS = 'assets'


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pictures, under the name of their folder."""
    root = Path(config.docs_dir).parent
    for path in sorted((root / ASSETS).rglob('*.*')):
        name = path.relative_to(root).as_posix()
        files.append(File(name, str(root), config.site_dir, config.use_directory_urls))
    return files


def on_page_markdown(markdown: str, page: Page, **kwargs) -> str:
    """Point to them as the site has them: in the repository they are one folder further up."""
    return markdown.replace(f'](../{ASSETS}/', f']({ASSETS}/')

"""Pages of HTML from templates beside the modules that render them."""

import os
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dynaseg.io.files import write_file

STYLE = Path(__file__).with_name('base.css')


def load_templates(folder: Path) -> Environment:
    """Load the templates of a folder; what is put into them is escaped.

    They have the filter ``text``, which makes a mark of the bytes of file names that are no text.

    Examples:
        >>> templates = load_templates(Path(__file__).parent)
        >>> templates.from_string('{{ value }}').render(value='a <b>')
        'a &lt;b&gt;'
    """
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters['text'] = show_text
    return environment


def write_assets(folder: Path, out_dir: Path) -> None:
    """Write the scripts and styles of a folder, and the style of all pages, into ``assets``."""
    for path in (STYLE, *folder.iterdir()):
        write_file(out_dir / 'assets' / path.name, path.read_bytes())


def show_text(value: object) -> str:
    r"""Make text that can be encoded, of file names that may hold bytes that are no text.

    Examples:
        >>> show_text('a\udce9')
        'a�'
    """
    return os.fsencode(str(value)).decode('utf-8', 'replace')

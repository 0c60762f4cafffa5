"""The code of README and docs, run as a reader would: page by page, in a folder of photographs.

Comments before blocks: ``<!-- needs: ... -->`` leaves one out, for what it needs is not at hand;
``<!-- file: NAME -->`` says that it is the content of a file; ``<!-- shortened: ... -->`` adds
arguments to its last command, so that it trains for less time than a reader would.
"""

import os
import re
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md'))]
FENCE = re.compile(r'(?:<!-- (\w+): ([^\n]*) -->\n)?```(\w*)\n(.*?)\n```', re.DOTALL)
RUN = {'bash', 'python'}


@dataclass
class Block:
    """A fenced block of code: its language, its code, and the comment before it."""

    language: str
    code: str
    comment: tuple[str, str] | None


def read_blocks(page):
    for kind, value, language, code in FENCE.findall(page.read_text('utf-8')):
        yield Block(language, code, (kind, value) if kind else None)


def has_code(page):
    return any(
        block.language in RUN and (block.comment or ('',))[0] != 'needs'
        for block in read_blocks(page)
    )


@pytest.fixture
def folder(tmp_path):
    """A folder with the photographs that the pages speak of."""
    rng = np.random.default_rng(0)
    for name in ('holiday/beach.jpg', 'holiday/forest.jpg', 'scans/one.tif', 'portrait.jpg'):
        pixels = np.full((80, 120, 3), rng.integers(40, 160, 3), np.int64)
        pixels[20:60, 40:80] = rng.integers(90, 250, 3)
        pixels += rng.integers(-8, 9, pixels.shape)
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=95)
    marks = np.zeros((80, 120), np.uint8)
    marks[30:40, 50:60], marks[5, 5:100] = 1, 2
    Image.fromarray(marks).save(tmp_path / 'painted.png')
    return tmp_path


def make_script(page):
    """The page as one script, so that later blocks build upon earlier ones."""
    yield 'import subprocess'
    yield 'import numpy as np'
    yield 'from PIL import Image'
    yield "image = np.array(Image.open('portrait.jpg'))"
    for block in read_blocks(page):
        kind, value = block.comment or ('', '')
        if kind == 'needs':
            continue
        if kind == 'file':
            yield f"with open({value!r}, 'w') as file: file.write({block.code!r})"
        elif block.language == 'bash':
            code = f'{block.code} {value}' if kind == 'shortened' else block.code
            command = ['bash', '-euo', 'pipefail', '-c', code]
            yield f'subprocess.run({command!r}, check=True)'
        elif block.language == 'python':
            yield block.code


@pytest.mark.parametrize(
    'page', filter(has_code, PAGES), ids=lambda page: str(page.relative_to(ROOT))
)
def test_the_code_of_a_page_runs(page, folder):
    environment = {
        **os.environ,
        'PATH': os.pathsep.join([sysconfig.get_path('scripts'), os.environ['PATH']]),
        'CUDA_VISIBLE_DEVICES': '',
    }
    # No file: workers would import, and run, that of their parent.
    command = [sys.executable, '-c', '\n'.join(make_script(page))]
    done = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, f'{done.stdout[-2000:]}\n{done.stderr[-4000:]}'


def test_blocks_say_what_they_are():
    for page in PAGES:
        for block in read_blocks(page):
            assert block.language in {*RUN, 'bibtex', 'text'}, (page, block.code)
            assert block.comment is None or block.comment[0] in {'needs', 'file', 'shortened'}, page

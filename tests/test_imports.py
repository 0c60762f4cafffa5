"""What imports what: nothing runs back up, and OpenMMLab stays where it is needed."""

import ast
import json
import os
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dynaseg

OPENMMLAB = {'mmcv', 'mmseg', 'mmcls', 'mmdet', 'mmselfsup'}
PACKAGE = Path(dynaseg.__file__).parent
LIGHT = ('core', 'io', 'photos', 'predictor', 'device', 'api', 'cli', 'script_help')

# What each room of the package may import of the others; '' is dynaseg/__init__.py.
ALLOWED = {
    'core': set(),
    'io': set(),
    'device': set(),
    'version': set(),
    'script_help': set(),
    'predictor': {'core'},
    'mmseg': {'core', 'io', 'predictor', 'device', ''},
    'photos': {'core', 'io', 'predictor'},
    'analysis': {'core', 'io', 'mmseg'},
    'api': {'core', 'io', 'predictor', 'device', 'version', 'mmseg', 'photos'},
    'guided': {'api', 'core', 'io', 'predictor', 'device', 'photos'},
    'app': {'api', 'core', 'io', 'photos'},
    'cli': {'api', 'app', 'guided', 'io'},
    '': {'api', 'guided', 'version'},
}

# Each module is imported without the others of the package, but for those that it imports itself.
IMPORT_EACH = """
import json, sys

loaded = {}
for name in sys.argv[1:]:
    for module in [module for module in sys.modules if module.partition('.')[0] == 'dynaseg']:
        del sys.modules[module]
    try:
        __import__(name)
        loaded[name] = sorted({module.partition('.')[0] for module in sys.modules} & set(%r))
    except BaseException as error:
        loaded[name] = repr(error)
print(json.dumps(loaded))
"""

WITHOUT_OPENMMLAB = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in %r:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)

sys.meta_path.insert(0, Absent())
from dynaseg.cli import main
sys.exit(main(sys.argv[1:]))
"""


def run_python(script, *arguments):
    environment = {**os.environ, 'CUDA_VISIBLE_DEVICES': ''}
    return subprocess.run(
        [sys.executable, '-c', script, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
    )


def walk(name):
    module = import_module(name)
    below = pkgutil.walk_packages(getattr(module, '__path__', []), f'{name}.')
    return [name, *(info.name for info in below)]


def test_no_module_of_the_light_parts_loads_openmmlab():
    names = [name for part in LIGHT for name in walk(f'dynaseg.{part}')]
    assert {'dynaseg.core.fitting', 'dynaseg.core.metrics.regions', 'dynaseg.io.files'} < set(names)
    done = run_python(IMPORT_EACH % sorted(OPENMMLAB), *names)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {name: [] for name in names}


def test_the_package_alone_loads_no_pytorch():
    script = 'import sys, dynaseg; print(dynaseg.__version__, *sys.modules)'
    done = run_python(script)
    version, *modules = done.stdout.split()
    assert version == dynaseg.__version__
    loaded = {name.partition('.')[0] for name in modules}
    assert loaded.isdisjoint({'torch', 'numpy', 'skimage', *OPENMMLAB})


def test_help_loads_no_pytorch():
    script = """
import sys
from dynaseg.cli import main
try:
    main(['segment', '--help'])
finally:
    assert 'torch' not in sys.modules
"""
    done = run_python(script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('usage: dynaseg segment')


@pytest.fixture
def photo(tmp_path):
    blocks = np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    Image.fromarray(blocks.repeat(8, axis=0).repeat(8, axis=1)).save(tmp_path / 'photo.png')
    return tmp_path / 'photo.png'


def test_photographs_are_segmented_without_openmmlab(photo, tmp_path):
    out = tmp_path / 'out'
    done = run_python(WITHOUT_OPENMMLAB % OPENMMLAB, 'segment', photo, '--out-dir', out)
    assert done.returncode == 0, done.stderr
    assert '1 of 1 images segmented' in done.stdout
    with Image.open(out / 'labels' / 'photo.png') as labels:
        assert labels.size == (32, 24)
    assert (out / 'index.html').is_file()


@pytest.mark.parametrize('option', ['--config', '--checkpoint'])
def test_what_needs_openmmlab_says_how_to_install_it(photo, tmp_path, option):
    arguments = ['segment', photo, '--out-dir', tmp_path / 'out', option, 'segment.py']
    done = run_python(WITHOUT_OPENMMLAB % OPENMMLAB, *arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith('error: configs and checkpoints need OpenMMLab, of which mm')
    assert 'need OpenMMLab' in line
    assert '"Into an existing environment" in docs/install.md' in line
    assert not (tmp_path / 'out').exists()


def room_of(module):
    """The room of a module, the name below ``dynaseg``; '' for what the package itself holds."""
    room = module.partition('.')[2].partition('.')[0]
    return room if room in ALLOWED else ''


def list_imports(path):
    """What a file imports of the package, wherever it does so, and the lines."""
    package = ('dynaseg', *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(path.read_text('utf-8'))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base = '.'.join([*base, *([node.module] if node.module else [])])
            names = [f'{base}.{alias.name}' for alias in node.names]
        yield from ((name, node.lineno) for name in names if name.partition('.')[0] == 'dynaseg')


def find_offences(paths):
    """The imports that run up, as ``file:line imports module``."""
    offences = []
    for path in paths:
        below = path.relative_to(PACKAGE)
        room = '' if below.name == '__init__.py' and len(below.parts) == 1 else below.parts[0]
        room = room.removesuffix('.py')
        assert room in ALLOWED, f'{below} is in no room: say what it may import'
        for module, line in list_imports(path):
            if room_of(module) not in {room, *ALLOWED[room]}:
                offences.append(f'dynaseg/{below}:{line} imports {module}')
    return offences


def test_imports_run_downward():
    paths = sorted(PACKAGE.rglob('*.py'))
    paths = [path for path in paths if '.mim' not in path.relative_to(PACKAGE).parts]
    assert len(paths) > 30
    assert find_offences(paths) == []


@pytest.mark.parametrize(
    ('file', 'source', 'module'),
    [
        ('core/a.py', 'from dynaseg.io.files import atomic_write', 'dynaseg.io.files.atomic_write'),
        ('core/a.py', 'def f():\n    import dynaseg.mmseg.models', 'dynaseg.mmseg.models'),
        ('photos/a.py', 'from dynaseg import api', 'dynaseg.api'),
        ('io/a.py', 'from ..core import losses', 'dynaseg.core.losses'),
        ('mmseg/models/a.py', 'from ...photos.page import render', 'dynaseg.photos.page.render'),
        ('analysis/a.py', 'import os, dynaseg.photos', 'dynaseg.photos'),
    ],
)
def test_an_import_that_runs_up_is_named(tmp_path, monkeypatch, file, source, module):
    monkeypatch.setitem(globals(), 'PACKAGE', tmp_path)
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(f'import numpy\n{source}\n')
    (offence,) = find_offences([tmp_path / file])
    assert offence == f'dynaseg/{file}:{2 + source.count(chr(10))} imports {module}'

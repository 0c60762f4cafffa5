"""Packaging of DynaSeg: the library, and its configs and tools as ``dynaseg/.mim`` for mim."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


def read_requirements(name: str) -> list[str]:
    lines = (ROOT / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


class BuildWithMim(build_py):
    """Ships ``configs/`` and ``tools/`` inside the package, where ``mim`` looks for them."""

    def run(self) -> None:
        super().run()
        for folder in ('configs', 'tools'):
            target = Path(self.build_lib) / 'dynaseg' / '.mim' / folder
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(
                ROOT / folder, target, ignore=shutil.ignore_patterns('__pycache__', '*.pyc')
            )


setup(
    name='dynaseg',
    version=re.search(r"__version__ = '(.+)'", (ROOT / 'dynaseg/version.py').read_text())[1],
    description='Unsupervised image segmentation for MMSegmentation by dynamically weighted loss',
    long_description=(ROOT / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='MIT',
    packages=find_packages(include=['dynaseg', 'dynaseg.*']),
    package_data={'dynaseg': ['**/*.html', '**/*.css', '**/*.js']},
    python_requires='>=3.10,<3.13',
    install_requires=read_requirements('requirements.txt'),
    extras_require={'dev': read_requirements('requirements-dev.txt')},
    cmdclass={'build_py': BuildWithMim},
    zip_safe=False,
)

"""Ships ``configs/`` and ``tools/`` as ``dynaseg/.mim``, where mim looks for them."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


class BuildWithMim(build_py):
    def run(self) -> None:
        super().run()
        for folder in ('configs', 'tools'):
            target = Path(self.build_lib) / 'dynaseg' / '.mim' / folder
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(
                ROOT / folder, target, ignore=shutil.ignore_patterns('__pycache__', '*.pyc')
            )


setup(cmdclass={'build_py': BuildWithMim}, zip_safe=False)

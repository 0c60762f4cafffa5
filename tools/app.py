#!/usr/bin/env python
"""Serve a page for segmenting pictures: ``dynaseg app``, for ``mim run dynaseg app``."""

import sys

from dynaseg.cli import main

if __name__ == '__main__':
    sys.exit(main(['app', *sys.argv[1:]]))

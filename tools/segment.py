#!/usr/bin/env python
"""Segment photographs without labels: ``dynaseg segment``, for ``mim run dynaseg segment``."""

import sys

from dynaseg.cli import main

if __name__ == '__main__':
    sys.exit(main(['segment', *sys.argv[1:]]))

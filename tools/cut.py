#!/usr/bin/env python
"""Cut a subject out of a photograph: ``dynaseg cut``, for ``mim run dynaseg cut``."""

import sys

from dynaseg.cli import main

if __name__ == '__main__':
    sys.exit(main(['cut', *sys.argv[1:]]))

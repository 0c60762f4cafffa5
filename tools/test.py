#!/usr/bin/env python
"""Test as MMSegmentation's tools/test.py does: same arguments, repaired for today's PyTorch."""

import dynaseg.mmseg  # noqa: F401  (applies the repairs)
from dynaseg.mmseg.compat import run_mmseg_script

if __name__ == '__main__':
    run_mmseg_script('test.py')

#!/usr/bin/env python
"""Test as MMSegmentation's tools/test.py does: same arguments, repaired for today's PyTorch."""

from dynaseg.script_help import answer_help

if __name__ == '__main__':
    answer_help('test.py')

# It takes seconds. It applies the repairs, also in the processes of data loaders.
from dynaseg.mmseg.compat import run_mmseg_script

if __name__ == '__main__':
    run_mmseg_script('test.py')

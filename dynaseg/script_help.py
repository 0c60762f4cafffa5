"""The help of MMSegmentation's scripts, without importing what they import.

``mim train`` asks for the script's help before it runs it, to see whether it has ``--gpus``.
Importing PyTorch and MMSegmentation for that takes as long as importing them for the training.
"""

import argparse
import ast
import os
import sys
from importlib.util import find_spec
from pathlib import Path


def answer_help(name: str) -> None:
    """Print the help of one of MMSegmentation's scripts if the arguments are ``-h`` or ``--help``.

    Args:
        name: the script's file name, ``train.py`` or ``test.py``.

    Raises:
        SystemExit: with status 0, once the help is printed.
    """
    if not {'-h', '--help'} & {*sys.argv[1:]}:
        return
    script = Path(find_spec('mmseg').origin).parent / '.mim' / 'tools' / name
    tree = ast.parse(script.read_text('utf-8'))
    tree.body = [node for node in tree.body if getattr(node, 'name', None) == 'parse_args']
    known = {'argparse': argparse, 'os': os, 'DictAction': argparse.Action}
    exec(compile(tree, script, 'exec'), known)
    known['parse_args']()

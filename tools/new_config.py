#!/usr/bin/env python
"""Write a config of your own that inherits from one of DynaSeg's."""

import argparse
import shlex
import sys

from dynaseg.mmseg.new_config import write_new_config


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('name', help='path of the new config, which must not exist')
    parser.add_argument(
        '--base', required=True, help="path of a config, or its name under DynaSeg's configs/"
    )
    return parser.parse_args()


def main() -> int:
    """Write what the command line asks for; returns the exit status."""
    args = parse_args()
    try:
        path = write_new_config(args.name, args.base)
    except FileExistsError as error:
        print(f'error: {error.filename} already exists; it was not changed', file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(f'{path}: edit it, then run: mim train dynaseg {shlex.quote(str(path))} --gpus 1')
    return 0


if __name__ == '__main__':
    sys.exit(main())

"""Segment photographs without labels: see ``python tools/segment.py --help``."""

import argparse
import signal
import sys
import warnings

DESCRIPTION = """\
Segments photographs without labels and writes, into the output folder:
  index.html          all images with their clusters, to be opened in a browser
  labels/NAME.png     the clusters of an image, numbered from 0, at its own size
  overlays/NAME.jpg   the clusters, coloured and outlined over the image
  results.json        a line an image: clusters, iterations, seconds, ...
An interrupted run goes on where it was when the same command is given again."""
EPILOG = """\
examples:
  python tools/segment.py photo.jpg
  mim run dynaseg segment holiday/ 'scans/**/*.tif' --out-dir segmented

exit status: 0 all images are segmented, 1 some were skipped, 2 nothing was done, 130 interrupted"""


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='IMAGE',
        help='file, folder (with its subfolders) or pattern: JPEG, PNG, TIFF, WebP or BMP',
    )
    parser.add_argument(
        '--config',
        help="path of a config, or its name under DynaSeg's configs/ (dynaseg/segment.py)",
    )
    parser.add_argument('--checkpoint', help='trained weights to start from (fresh ones)')
    parser.add_argument('--device', help='such as cpu or cuda:1 (the GPU if there is one)')
    parser.add_argument('--out-dir', default='outputs', help='folder for the outputs (outputs)')
    parser.add_argument('--seed', type=int, default=0, help='seed of fresh weights (0)')
    parser.add_argument(
        '--overwrite', action='store_true', help='do everything again, also with other settings'
    )
    return parser.parse_args()


def main() -> int:
    """Segment what the command line asks for; returns the exit status."""
    args = parse_args()
    # Being ended by the system is an interruption like Ctrl-C: what is done is recorded.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    warnings.filterwarnings('ignore', 'On January 1, 2023, MMCV', UserWarning)
    try:
        from dynaseg.apis import segment_images  # after parsing: it takes seconds to import

        records = segment_images(**vars(args))
    except KeyboardInterrupt:
        print('interrupted: the same command, without --overwrite, goes on', file=sys.stderr)
        return 130
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    skipped = sum('error' in record for record in records)
    print(f'{len(records) - skipped} of {len(records)} images segmented: {args.out_dir}/index.html')
    return 1 if skipped else 0


if __name__ == '__main__':
    sys.exit(main())

"""The command ``dynaseg``: see ``dynaseg segment --help``."""

import argparse
import signal
import sys
import traceback

DESCRIPTION = """\
Segments photographs without labels and writes, into the output folder:
  index.html           all images, to be opened in a browser: regions from coarse to fine, to be
                       chosen and saved as cut-outs
  regions/NAME.png     the connected regions of an image, numbered from 0, at its own size
  labels/NAME.png      its clusters, numbered from 0, which may join parts that do not touch
  hierarchy/NAME.png   the strength of every border: the regions of every detail
  overlays/NAME.jpg    the regions, coloured and outlined over the image
  results.jsonl        a line an image: regions, clusters, seconds, ...
An interrupted run goes on where it was when the same command is given again."""
EPILOG = """\
examples:
  dynaseg segment photo.jpg
  dynaseg segment photo.jpg --regions 5
  dynaseg segment holiday/ 'scans/**/*.tif' --out-dir segmented

exit status: 0 all images are segmented, 1 some were not, 2 none was, 3 an error of the program,
130 interrupted; what is done stays done"""


def add_segment_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``dynaseg segment``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='IMAGE',
        help='file, folder (with its subfolders) or pattern: JPEG, PNG, TIFF, WebP, BMP, GIF, '
        'AVIF, or HEIC with pillow-heif',
    )
    parser.add_argument(
        '--config',
        help="path of a config, or its name under DynaSeg's configs/ (what suits photographs)",
    )
    parser.add_argument('--checkpoint', help='trained weights to start from (fresh ones)')
    parser.add_argument('--device', help='such as cpu or cuda:1 (the GPU if there is one)')
    parser.add_argument('--out-dir', default='outputs', help='folder for the outputs (outputs)')
    parser.add_argument('--seed', type=int, default=0, help='seed of fresh weights (0)')
    parser.add_argument(
        '--detail', type=float, default=0.5, help='of the regions, 0 (coarse) to 1 (fine) (0.5)'
    )
    parser.add_argument(
        '--regions', type=int, metavar='N', help='number of regions, whatever the detail'
    )
    parser.add_argument(
        '--min-area',
        type=float,
        default=0.0005,
        metavar='SHARE',
        help='share of the image below which a region is none (0.0005)',
    )
    parser.add_argument(
        '--workers',
        type=int,
        help='images side by side, in processes (as many as cores and memory allow)',
    )
    parser.add_argument(
        '--scheduler',
        metavar='ADDRESS',
        help='a Dask cluster, such as tcp://HOST:8786, that segments in place of this machine',
    )
    parser.add_argument(
        '--export',
        action='append',
        default=[],
        metavar='FORMAT',
        help='also write the regions as coco (coco.json) or geotiff (geotiff/NAME.tif)',
    )
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='do these images again, also with other settings than before',
    )
    parser.add_argument(
        '--skip-ok',
        action='store_true',
        help='exit status 0 even if images were skipped, for scripts (and mim) that stop at others',
    )


def segment(args: argparse.Namespace) -> int:
    """Segment what the arguments ask for; returns the exit status."""
    # Being ended by the system is an interruption like Ctrl-C: what is done is recorded.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        from dynaseg.api import segment_images  # after parsing: it takes a second to import

        options = vars(args).copy()
        skip_ok = options.pop('skip_ok')
        records = segment_images(**options)
    except KeyboardInterrupt:
        print('interrupted: the same command, without --overwrite, goes on', file=sys.stderr)
        return 130
    except (ImportError, OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        if not getattr(error, 'segmented', 0):
            return 2
        print(
            f'{error.segmented} images were segmented before: the same command, without '
            '--overwrite, goes on',
            file=sys.stderr,
        )
        return 1
    except Exception as error:
        traceback.print_exception(error)
        print(
            'error: this is a fault of the program, not of an image; what was segmented is kept',
            file=sys.stderr,
        )
        return 3
    skipped = sum('error' in record for record in records)
    print(f'{len(records) - skipped} of {len(records)} images segmented: {args.out_dir}/index.html')
    return 1 if skipped and not skip_ok else 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command ``dynaseg``; returns the exit status."""
    parser = argparse.ArgumentParser(prog='dynaseg', description=__doc__)
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    add_segment_arguments(commands.add_parser('segment', help='segment photographs'))
    return segment(parser.parse_args(arguments))


if __name__ == '__main__':
    sys.exit(main())

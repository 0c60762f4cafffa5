"""The command ``dynaseg``."""

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
  results.jsonl        one line per image: regions, clusters, seconds, ...
An interrupted run goes on where it was when the same command is given again."""
EPILOG = """\
examples:
  dynaseg segment photo.jpg
  dynaseg segment photo.jpg --regions 5
  dynaseg segment holiday/ 'scans/**/*.tif' --out-dir segmented

exit status: 0 all images are segmented, 1 some or all were skipped, 2 nothing was started (an
argument or a file is invalid), 3 a bug, 130 interrupted; finished outputs are kept"""


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
        help="path of a config, or its name under DynaSeg's configs/; by default, what suits "
        'photographs',
    )
    parser.add_argument('--checkpoint', help='trained weights (by default, fresh ones)')
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='changes of the config'
    )
    parser.add_argument(
        '--names', metavar='JSON', help="names of the checkpoint's clusters, for labels and colours"
    )
    parser.add_argument(
        '--device',
        help='such as cpu or cuda:1 (cpu; with a config or a checkpoint the GPU, if there is one)',
    )
    parser.add_argument('--out-dir', default='outputs', help='folder for the outputs (outputs)')
    parser.add_argument('--seed', type=int, default=0, help='seed of fresh weights (0)')
    parser.add_argument('--detail', type=float, help='of the regions, 0 (coarse) to 1 (fine) (0.5)')
    parser.add_argument(
        '--regions',
        type=int,
        metavar='N',
        help='number of regions, or as many as there are, whatever the detail',
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
        help='images side by side (as many as cores and memory allow, 1 for a few small ones)',
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
        from dynaseg.io.pages import show_text

        options = vars(args).copy()
        skip_ok = options.pop('skip_ok')
        records = segment_images(**options)
    except KeyboardInterrupt:
        print('interrupted: the same command, without --overwrite, goes on', file=sys.stderr)
        return 130
    except (ImportError, OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        segmented = getattr(error, 'segmented', None)
        if segmented:
            print(
                f'{segmented} images were segmented before: the same command, without '
                '--overwrite, goes on',
                file=sys.stderr,
            )
        return 2 if segmented is None else 1
    except Exception as error:
        traceback.print_exception(error)
        print(
            'error: this is a bug, not a bad image; what was segmented is kept',
            file=sys.stderr,
        )
        return 3
    skipped = sum('error' in record for record in records)
    place = show_text(f'{args.out_dir}/index.html')
    print(f'{len(records) - skipped} of {len(records)} images segmented: {place}')
    return 1 if skipped and not skip_ok else 0


CUT_DESCRIPTION = """\
Cuts a subject out of a photograph by what is marked on it, and writes, into the output folder:
  cutouts/NAME.png     the subject, transparent around it
  masks/NAME.png       its mask, 255 in the subject and 0 around it"""
CUT_EPILOG = """\
A mark is a click (X,Y), a line ('X,Y X,Y ...') or a polygon ('polygon:X,Y X,Y X,Y ...'); x is
counted in pixels from the left, y from the top.

examples:
  dynaseg cut photo.jpg --keep 310,240 --drop 20,30 --drop 600,450
  dynaseg cut photo.jpg --keep '200,180 320,260' --drop '10,10 630,10'
  dynaseg cut photo.jpg --marks painted.png

exit status: 0 the subject is cut out, 2 it is not, 130 interrupted"""


def add_cut_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``dynaseg cut``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description, parser.epilog = CUT_DESCRIPTION, CUT_EPILOG
    parser.add_argument('image', metavar='IMAGE', help='file of the photograph')
    parser.add_argument(
        '--keep',
        action='append',
        default=[],
        metavar='MARK',
        help='a mark on the subject; may be repeated',
    )
    parser.add_argument(
        '--drop',
        action='append',
        default=[],
        metavar='MARK',
        help='a mark beside it; may be repeated',
    )
    parser.add_argument(
        '--marks',
        metavar='PNG',
        help='marks painted in an editor, on an empty layer or over the photograph: green is kept, '
        'red dropped; or 1 and 2 in a grey or palette PNG',
    )
    parser.add_argument('--device', help='such as cpu or cuda:1 (cpu)')
    parser.add_argument('--out-dir', default='outputs', help='folder for the outputs (outputs)')
    parser.add_argument('--seed', type=int, default=0, help='seed of fresh weights (0)')


def cut(args: argparse.Namespace) -> int:
    """Cut out what the arguments ask for; returns the exit status."""
    try:
        from dynaseg.guided import cut_out
        from dynaseg.io.pages import show_text

        paths = cut_out(**vars(args))
    except KeyboardInterrupt:
        print('interrupted: nothing was written', file=sys.stderr)
        return 130
    except (ImportError, OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(f'subject cut out: {" ".join(map(show_text, paths))}')
    return 0


APP_DESCRIPTION = """\
Serves a page on which one opens a picture, slides from coarse to fine, clicks regions or scribbles
on a subject, and saves masks, cut-outs and COCO annotations. Needs Gradio: pip install gradio"""


def add_app_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``dynaseg app``."""
    parser.description = APP_DESCRIPTION
    parser.add_argument('--config', help='as of dynaseg segment')
    parser.add_argument('--checkpoint', help='as of dynaseg segment')
    parser.add_argument(
        '--device',
        help='such as cpu or cuda:1 (cpu; with a config or a checkpoint the GPU, if there is one)',
    )
    parser.add_argument(
        '--host',
        default='127.0.0.1',
        help='address to listen at: 0.0.0.0 lets other machines in (127.0.0.1, this one alone)',
    )
    parser.add_argument('--port', type=int, help='to listen at (the first free one from 7860 on)')
    parser.add_argument(
        '--max-megabytes', type=float, default=100, help='largest file that is taken (100)'
    )
    parser.add_argument(
        '--max-megapixels', type=float, default=50, help='largest picture that is taken (50)'
    )
    parser.add_argument(
        '--timeout', type=float, default=120, help='seconds until a picture is given up (120)'
    )


def app(args: argparse.Namespace) -> int:
    """Serve the app; returns the exit status."""
    try:
        from dynaseg.app.serve import serve_app

        serve_app(**vars(args))
    except KeyboardInterrupt:
        return 130
    except (ImportError, OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


COMMANDS = {
    'segment': (add_segment_arguments, segment, 'segment photographs'),
    'cut': (add_cut_arguments, cut, 'cut a subject out of one'),
    'app': (add_app_arguments, app, 'do both on a page in the browser'),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command ``dynaseg``; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog='dynaseg',
        description='Segments photographs without labels.',
        epilog='dynaseg COMMAND --help says more.',
    )
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    for name, (add_arguments, run, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        add_arguments(command)
        command.set_defaults(run=run)
    args = parser.parse_args(arguments)
    run = args.run
    del args.run
    return run(args)


if __name__ == '__main__':
    sys.exit(main())

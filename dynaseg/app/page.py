"""The app's page, made with Gradio."""

import socket
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

try:
    import gradio as gr
except ImportError as error:
    raise ImportError('the app needs Gradio: pip install gradio') from error

from dynaseg.app.picture import Picture
from dynaseg.app.saving import remove_older, save_picture
from dynaseg.app.segmenting import Segmenter
from dynaseg.io.files import IMAGE_SUFFIXES
from dynaseg.photos.regions import DETAIL

GREEN, RED = '#00b050', '#e02020'
KEPT = 3600  # seconds for which opened and saved files are kept
INTRODUCTION = """# DynaSeg
Open a picture. Slide from coarse to fine, click regions to select them, or scribble on a subject;
then save the selection.
"""
FONTS = ['system-ui', 'sans-serif']
# File names differ at their ends.
STYLE = """
#files .filename { max-width: none; flex-wrap: wrap }
#files .stem { overflow: visible; white-space: normal; overflow-wrap: anywhere }
"""


def make_page(segmenter: Segmenter) -> gr.Blocks:
    """Make the page.

    Args:
        segmenter: opens uploaded pictures, one at a time.

    Returns:
        Gradio's blocks, for :func:`launch`.
    """

    def open_picture(path: str | None) -> tuple:
        if path is None:
            return None, None, None, 'No picture is open.', None
        try:
            picture = segmenter(Path(path))
        except ValueError as error:
            raise _refusal(error) from error
        canvas = {'background': picture.display, 'layers': [], 'composite': None}
        return picture, picture.draw(DETAIL), canvas, picture.describe(DETAIL), DETAIL

    def show(picture: Picture | None, detail: float) -> tuple:
        if picture is None:
            return None, 'No picture is open.'
        return picture.draw(detail), picture.describe(detail)

    def click(picture: Picture | None, detail: float, event: gr.SelectData) -> tuple:
        if picture is not None:
            picture.toggle(*event.index, detail)
        return show(picture, detail)

    def clear(picture: Picture | None, detail: float) -> tuple:
        if picture is not None:
            picture.selected[:] = False
        return show(picture, detail)

    def cut_out(picture: Picture | None, canvas: dict | None, detail: float) -> tuple:
        layers = (canvas or {}).get('layers') or []
        if picture is None or not layers:
            raise _refusal('open a picture, and paint green on the subject and red around it')
        try:
            picture.select_marked(np.asarray(layers[0]))
        except ValueError as error:
            raise _refusal(error) from error
        return *show(picture, detail), gr.Tabs(selected='regions')

    def save(picture: Picture | None, detail: float) -> gr.Files:
        if picture is None:
            raise _refusal('no picture is open')
        saved = segmenter.folder / 'saved'
        remove_older(saved, KEPT)
        folder = Path(mkdtemp(dir=saved))
        return gr.Files([*map(str, save_picture(folder, picture, detail))], visible=True)

    with gr.Blocks(title='DynaSeg', analytics_enabled=False, delete_cache=(KEPT, KEPT)) as page:
        picture = gr.State(time_to_live=KEPT)
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                # Not gr.Image, which rejects HEIC and clips 16 bits to white.
                upload = gr.File(label='Picture', file_types=['image', *IMAGE_SUFFIXES], height=140)
                detail = gr.Slider(
                    0,
                    1,
                    DETAIL,
                    step=0.01,
                    label='Detail',
                    info='0 is coarse, 1 fine',
                    elem_id='detail',
                )
                status = gr.Markdown('No picture is open.', elem_id='status')
                with gr.Row():
                    clear_button = gr.Button('Clear', min_width=100)
                    save_button = gr.Button('Save', variant='primary', min_width=100)
            with gr.Column(scale=3, min_width=300), gr.Tabs(selected='regions') as tabs:
                with gr.Tab('Click regions', id='regions'):
                    view = gr.Image(
                        interactive=False,
                        label='Regions',
                        elem_id='regions',
                        format='jpeg',
                        buttons=['fullscreen'],
                    )
                with gr.Tab('Scribble', id='scribbles'):
                    gr.Markdown(
                        'Paint on the subject in green. Then choose red in the palette, which the '
                        'brush button closes, and paint around the subject.'
                    )
                    canvas = gr.ImageEditor(
                        show_label=False,
                        height='min(560px, 100vw)',
                        sources=(),
                        transforms=(),
                        layers=False,
                        elem_id='canvas',
                        brush=gr.Brush(colors=[GREEN, RED], color_mode='fixed', default_size=12),
                    )
                    cut_button = gr.Button('Cut out the subject', variant='primary')
        files = gr.Files(label='Saved', interactive=False, elem_id='files', visible=False)
        shown = [view, status]
        upload.change(
            open_picture, upload, [picture, view, canvas, status, detail], concurrency_limit=1
        )
        upload.change(lambda: gr.Files(visible=False), None, files)  # of the previous picture
        detail.input(
            show, [picture, detail], shown, show_progress='hidden', trigger_mode='always_last'
        )
        view.select(click, [picture, detail], shown, show_progress='hidden')
        clear_button.click(clear, [picture, detail], shown)
        cut_button.click(cut_out, [picture, canvas, detail], [*shown, tabs])
        save_button.click(save, [picture, detail], files)
    return page


def launch(page: gr.Blocks, host: str, port: int | None, max_megabytes: float) -> None:
    """Serve a page until it is interrupted.

    Args:
        page: the page.
        host: address to listen on; ``127.0.0.1`` for this machine only.
        port: port to listen on; None for the first free one from 7860.
        max_megabytes: size above which an upload is rejected.

    Raises:
        OSError: if it cannot listen there, as where the port is taken.
    """
    check_host(host)
    try:
        page.queue(max_size=20).launch(
            server_name=host,
            server_port=port,
            max_file_size=int(max_megabytes * 2**20),
            theme=gr.themes.Default(font=FONTS, font_mono=['monospace']),
            css=STYLE,
            footer_links=[],
            share=False,
            ssr_mode=False,
            quiet=True,  # its messages would name Gradio's options
            prevent_thread_lock=True,
        )
    except OSError as error:
        if 'empty port' not in str(error):
            raise
        place = host if port is None else f'{host}:{port}'
        raise OSError(
            f'cannot listen at {place}: the port is taken; choose another with --port'
        ) from error
    shown = find_own_address() if host == '0.0.0.0' else host
    print(f'DynaSeg runs at http://{shown}:{page.server_port} (Ctrl-C to stop)', flush=True)
    page.block_thread()


def check_host(host: str) -> None:
    """Raise OSError unless an address is one of this machine's, at which one can listen."""
    family = socket.AF_INET6 if host.startswith('[') else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host.strip('[]'), 0))
        except OSError as error:
            raise OSError(
                f'cannot listen at {host}: {error.strerror}; expected an address of this '
                'machine, such as 127.0.0.1 or [::1], or 0.0.0.0 for all of them (--host)'
            ) from error


def find_own_address() -> str:
    """Find the address at which other machines on the network reach this one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # No machine's address: this finds where a packet would leave, and sends none.
            probe.connect(('192.0.2.1', 9))
        except OSError:  # there is no network
            return '127.0.0.1'
        return probe.getsockname()[0]


def _refusal(reason: object) -> gr.Error:
    """Make the error that tells a person what is wrong; the log needs no traceback of it."""
    return gr.Error(str(reason), print_exception=False)

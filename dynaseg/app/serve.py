from os import PathLike

import torch

from dynaseg.api import load_predictor
from dynaseg.app.segmenting import Opening, Segmenter


def serve_app(
    config: str | PathLike | None = None,
    checkpoint: str | PathLike | None = None,
    device: str | torch.device | None = None,
    host: str = '127.0.0.1',
    port: int | None = None,
    max_megabytes: float = 100,
    max_megapixels: float = 50,
    timeout: float = 120,
) -> None:
    """Serve a page to segment pictures on, until it is interrupted.

    Args:
        config: as for :func:`load_predictor`, like the next two.
        checkpoint: likewise.
        device: likewise.
        host: address to listen at; the default is this machine's alone.
        port: to listen at; None for the first that is free from 7860 on.
        max_megabytes: above which an upload is refused.
        max_megapixels: above which a picture is refused.
        timeout: seconds after which a picture is given up.

    Raises:
        ImportError: if Gradio is not installed; it says how to install it.
        OSError: if the port is taken.
        ValueError: if a limit is not positive, or config, checkpoint or device are unfit.
    """
    from dynaseg.app.page import launch, make_page  # which needs Gradio

    limits = {'max_megabytes': max_megabytes, 'max_megapixels': max_megapixels, 'timeout': timeout}
    for name, limit in limits.items():
        if not limit > 0:
            raise ValueError(f'{name} must be positive, got {limit}')
    predictor, _ = load_predictor(config, checkpoint, device)
    segmenter = Segmenter(Opening(predictor, max_megapixels), timeout)
    try:
        launch(make_page(segmenter), host, port, max_megabytes)
    finally:
        segmenter.close()

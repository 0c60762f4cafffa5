import math
from os import PathLike

import torch

from dynaseg.api import load_predictor
from dynaseg.app.segmenting import Opening, Segmenter

DAY = 86_400  # seconds; waiting for much longer is more than the system can count


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
    """Serve a page for segmenting pictures, until it is interrupted.

    Args:
        config: see :func:`load_predictor`.
        checkpoint: as above.
        device: as above.
        host: address to listen on; the default serves this machine only.
        port: port to listen on; None for the first free one from 7860.
        max_megabytes: size above which an upload is rejected.
        max_megapixels: size above which a picture is rejected.
        timeout: seconds after which a picture is given up, at most a day.

    Raises:
        ImportError: if Gradio is not installed; it says how to install it.
        OSError: if it cannot listen there, as where the port is taken.
        ValueError: if a limit is not positive or not finite, or the timeout over a day, there is no
            such port, or config, checkpoint or device are invalid.
    """
    from dynaseg.app.page import launch, make_page  # which needs Gradio

    limits = {'max_megabytes': max_megabytes, 'max_megapixels': max_megapixels, 'timeout': timeout}
    for name, limit in limits.items():
        if not 0 < limit < math.inf:
            raise ValueError(f'{name} must be positive and finite, got {limit}')
    if timeout > DAY:
        raise ValueError(f'timeout must be at most {DAY} (a day), got {timeout}')
    if port is not None and not 0 < port < 65536:
        raise ValueError(f'port must be from 1 to 65535, got {port}')
    predictor, _ = load_predictor(config, checkpoint, device)
    segmenter = Segmenter(Opening(predictor, max_megapixels), timeout)
    try:
        launch(make_page(segmenter), host, port, max_megabytes)
    finally:
        segmenter.close()

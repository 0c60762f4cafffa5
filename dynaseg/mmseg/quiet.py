"""What libraries say before the first line of progress and is not the user's business."""

import logging
import warnings

import torch

# The start of each message, and why it says nothing to the user.
EXPECTED = (
    'On January 1, 2023, MMCV',  # of 2022: DynaSeg is of the 1.x line
    'pkg_resources is deprecated',  # which mmcv and mim use
    'SyncBN is only supported with DDP',  # said of every model, whether it has any or not
)
EXPECTED_ON_CPU = (
    "'pin_memory' argument is set as true",  # mmseg's default
    'User provided device_type of .cuda., but CUDA is not available',
)


def silence_libraries() -> None:
    """Filter the messages that are expected; others are shown as before."""
    expected = EXPECTED
    if not torch.cuda.is_available():
        expected += EXPECTED_ON_CPU
        # Its only warning of this kind is that there is no CUDA runtime.
        logging.getLogger('torch.utils.cpp_extension').setLevel(logging.ERROR)
    for start in expected:
        warnings.filterwarnings('ignore', start)

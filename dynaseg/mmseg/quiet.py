"""Filters for what libraries print at the start and does not concern the user."""

import logging
import warnings

import torch

# The beginning of each message, and why it does not concern the user.
EXPECTED = (
    'On January 1, 2023, MMCV',  # announces MMCV 2; DynaSeg is for the 1.x line
    'pkg_resources is deprecated',  # which mmcv and mim use
    'SyncBN is only supported with DDP',  # for every model, whether it has any or not
)
EXPECTED_ON_CPU = (
    "'pin_memory' argument is set as true",  # mmseg's default
    'User provided device_type of .cuda., but CUDA is not available',
)


def silence_libraries() -> None:
    """Filter out the expected messages; others are shown as before."""
    expected = EXPECTED
    if not torch.cuda.is_available():
        expected += EXPECTED_ON_CPU
        # Its only warning of this kind is that there is no CUDA runtime.
        logging.getLogger('torch.utils.cpp_extension').setLevel(logging.ERROR)
    for start in expected:
        warnings.filterwarnings('ignore', start)

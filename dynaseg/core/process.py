"""The process: its memory and its threads."""

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

# malloc.h of the GNU C library
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = -1


@contextmanager
def reused_memory() -> Iterator[bool]:
    """Let the process reuse the memory of freed tensors, and release it at the end.

    By default the GNU C library maps every tensor above 32 MiB afresh and unmaps it when it is
    freed, so the system zeroes and maps its pages again at every step: at 481 x 321 pixels and 100
    channels that takes longer than the convolutions. The setting affects the whole process and
    stays. Memory is released at the end, since the next image's tensors fit badly into what this
    one's left: the process would grow to twice what one image takes.

    Yields:
        Whether the C library has this setting.
    """
    mallopt, trim = (_find(name) for name in ('mallopt', 'malloc_trim'))
    found = mallopt is not None and trim is not None
    kept = found and bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, NEVER))
    try:
        yield kept
    finally:
        if kept:
            trim(0)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread, so that results do not depend on the number of cores.

    Small networks gain nothing from more, and lose much when other processes are computing.

    Examples:
        >>> with one_thread():
        ...     torch.get_num_threads()
        1
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _find(name: str) -> Callable[..., int] | None:
    """Find a function of the GNU C library; others do not have these."""
    if not sys.platform.startswith('linux'):
        return None
    return getattr(ctypes.CDLL(None), name, None)

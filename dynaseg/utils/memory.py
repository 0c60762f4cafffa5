"""Memory of the process."""

import ctypes
import functools
import sys
from collections.abc import Callable

# malloc.h of the GNU C library
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


@functools.cache
def keep_freed_memory() -> bool:
    """Let the process reuse the memory of freed tensors instead of asking the system for more.

    By default the GNU C library maps every tensor above 32 MiB afresh and gives it back when it is
    freed, so the system zeroes and maps its pages again at every step: at 481 x 321 pixels and 100
    channels that takes longer than the convolutions.

    Returns:
        Whether the C library has such a setting.

    Example:
        >>> keep_freed_memory() == keep_freed_memory()
        True
    """
    mallopt = _find('mallopt')
    never = -1
    return mallopt is not None and bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, never))


def release_freed_memory() -> bool:
    """Give the memory of freed tensors that :func:`keep_freed_memory` kept back to the system.

    New tensors fit badly into what others left: over many images the process would grow to twice of
    what one image takes.

    Returns:
        Whether there was any to give back.

    Example:
        >>> release_freed_memory() in (True, False)
        True
    """
    trim = _find('malloc_trim')
    return trim is not None and bool(trim(0))


def _find(name: str) -> Callable[..., int] | None:
    """Find a function of the GNU C library; other ones have none of these."""
    if not sys.platform.startswith('linux'):
        return None
    return getattr(ctypes.CDLL(None), name, None)

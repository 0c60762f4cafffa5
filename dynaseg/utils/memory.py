"""Memory of the process."""

import ctypes
import functools
import sys

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
    if not sys.platform.startswith('linux'):
        return False
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)  # other C libraries have none
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))  # never

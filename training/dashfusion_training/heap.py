"""Memory that is freed stays with the process, for the next step to use.

A training step allocates and frees hundreds of megabytes. The C library of Linux gives each large
piece back to the system at once and is given it again, zeroed page by page: with MiniLM on one core
two thirds of the time of a training went there. Told to keep it, it takes none. The price is that
a process stays as large as it ever was.
"""

import ctypes
import sys

__all__ = ["keep_freed_memory"]

# Parameters of mallopt (malloc.h of the GNU C library).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8
_MOST = 2**31 - 1  # bytes; it takes an int
_GROW = 1 << 26  # bytes the heap grows by beyond what is asked for


def keep_freed_memory() -> bool:
    """Have this process keep what it frees, from now on; False where the C library has no way to.

    Only the GNU C library can be told so. What was allocated before is not touched.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    wanted = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _MOST), (_TOP_PAD, _GROW), (_ARENA_MAX, 1))
    return all(mallopt(name, value) == 1 for name, value in wanted)

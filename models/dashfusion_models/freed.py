"""Memory that was freed goes back to the system.

The C library keeps what native code frees for later. Pieces of ever other sizes, as speech brings
them, leave holes that nothing fits into: hundreds of MB in hours of video, though nothing is held.
"""

import ctypes
import sys
from collections.abc import Callable
from functools import cache

__all__ = ["give_back"]


def give_back() -> None:
    """Return freed memory (glibc; elsewhere nothing happens). Takes milliseconds."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found

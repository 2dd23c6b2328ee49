"""Freed memory is no longer the process's own."""

import ctypes
import sys

import psutil
import pytest

from dashfusion_models.freed import _trim, give_back


@pytest.mark.skipif(sys.platform != "linux" or _trim() is None, reason="glibc's doing")
def test_what_native_code_freed_is_returned() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    blocks = [libc.malloc(60_000) for _ in range(2000)]  # 120 MB in pieces that come from the heap
    for block in blocks:
        ctypes.memset(block, 1, 60_000)
    for block in blocks[:-1]:  # the last one keeps the heap from shrinking by itself
        libc.free(block)
    before = psutil.Process().memory_info().rss
    give_back()
    assert before - psutil.Process().memory_info().rss > 80 << 20
    libc.free(blocks[-1])

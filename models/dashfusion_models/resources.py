"""The cores and the memory that this process may use: the machine's, or its share of them.

Containers and batch systems give a process less than the machine has, by affinity or by control
groups (cgroup v2, and v1 in the usual places); a program that starts a thread for every core of
the machine is slowed down there, or killed.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["THREAD_VARIABLES", "cores_here", "free_bytes", "one_blas_thread", "threads_here"]

# What torch, OpenMP, the linear algebra under NumPy, and numba read when they are loaded.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
_GROUPS = Path("/sys/fs/cgroup")
_UNLIMITED_BYTES = 1 << 60  # cgroup v1 writes a number like this for no limit


def cores_here() -> int:
    """Cores that this process may use: its affinity, and what its control group allows; >= 1."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quotas = [quota for quota in _cpu_quotas() if quota > 0]
    return max(1, min([cores, *(int(quota) for quota in quotas)]))


def threads_here() -> int:
    """Threads for one computation: OMP_NUM_THREADS where it is set, else `cores_here`."""
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(asked) if asked.isdigit() and int(asked) > 0 else cores_here()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """NumPy's products in one thread, in the whole process: their last bits depend on how many."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield


def free_bytes() -> int | None:
    """Memory that this process could still take without swapping; None where nobody tells."""
    known = [size for size in (_machine_bytes(), *_group_bytes()) if size is not None]
    return max(0, min(known)) if known else None


def _own_groups() -> Iterator[Path]:
    """The folders of this process's control group and of those above it (cgroup v2)."""
    try:
        lines = Path("/proc/self/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return
    named = [line.partition("::")[2] for line in lines if line.startswith("0::")]
    folder = _GROUPS / named[0].lstrip("/") if named else _GROUPS
    while folder.is_relative_to(_GROUPS):
        yield folder
        folder = folder.parent


def _cpu_quotas() -> Iterator[float]:
    """Cores that control groups allow, as far as they limit them."""
    for folder in _own_groups():
        quota, _, period = _text(folder / "cpu.max").partition(" ")
        if quota.isdigit() and period.strip().isdigit():
            yield int(quota) / int(period)
    first = _GROUPS / "cpu"
    first_quota = _text(first / "cpu.cfs_quota_us")
    first_period = _text(first / "cpu.cfs_period_us")
    if first_quota.isdigit() and first_period.isdigit():
        yield int(first_quota) / int(first_period)


def _group_bytes() -> Iterator[int]:
    """What is left of the memory that control groups allow; caches of files can be given up."""
    places = [(f / "memory.max", f / "memory.current", f / "memory.stat") for f in _own_groups()]
    v1 = _GROUPS / "memory"
    places += [
        (v1 / "memory.limit_in_bytes", v1 / "memory.usage_in_bytes", v1 / "memory.stat"),
    ]
    for limit, used, stat in places:
        most, now = _text(limit), _text(used)
        if not most.isdigit() or not now.isdigit() or int(most) >= _UNLIMITED_BYTES:
            continue
        rows = dict(line.split(" ", 1) for line in _text(stat).splitlines() if " " in line)
        caches = rows.get("total_inactive_file") or rows.get("inactive_file") or "0"
        yield int(most) - int(now) + int(caches)


def _machine_bytes() -> int | None:
    if sys.platform == "win32":
        return _windows_bytes()
    for line in _text(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    try:  # macOS tells what there is and not what is free; half of it is a careful guess
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (ValueError, OSError):
        return None


def _windows_bytes() -> int | None:
    import ctypes

    class MemoryStatus(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            ("total", ctypes.c_ulonglong),
            ("available", ctypes.c_ulonglong),
            ("rest", ctypes.c_ulonglong * 5),
        )

    status = MemoryStatus(length=ctypes.sizeof(MemoryStatus))
    windll = getattr(ctypes, "windll", None)
    if windll is None or not windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return int(status.available)


def _text(path: Path) -> str:
    """The content of a small system file; empty where there is none."""
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""

"""The largest memory that a command and its children hold while they run."""

import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil

__all__ = ["Seen", "peak_of", "proportional", "resident", "tree_bytes"]

POLL_S = 0.1


def resident(process: psutil.Process) -> int:
    """Bytes in memory; what processes share counts for each of them."""
    return process.memory_info().rss


def proportional(process: psutil.Process) -> int:
    """Bytes in memory (Linux); what processes share is divided among them."""
    return process.memory_full_info().pss


def tree_bytes(root: psutil.Process, size: Callable[[psutil.Process], int]) -> int:
    """Bytes of a process and of all that it started, as far as they are there just now."""
    total = 0
    try:
        for one in (root, *root.children(recursive=True)):
            total += size(one)
    except psutil.Error:
        pass
    return total


@dataclass(frozen=True)
class Seen:
    """What was seen of a command: bytes of all its processes at most, seconds, what it printed."""

    peak_bytes: int
    seconds: float
    out: str


def peak_of(
    command: Sequence[str],
    *,
    size: Callable[[psutil.Process], int] = resident,
    poll_s: float = POLL_S,
) -> Seen:
    """Run a command to its end and look at it every `poll_s`.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    root, peak = psutil.Process(process.pid), 0

    def watch() -> None:
        nonlocal peak
        while process.poll() is None:
            peak = max(peak, tree_bytes(root, size))
            time.sleep(poll_s)

    watcher = threading.Thread(target=watch)
    watcher.start()
    out, _ = process.communicate()
    watcher.join()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Seen(peak, time.perf_counter() - started, out)

"""The largest memory that a command and its children hold while they run."""

import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil

__all__ = ["Seen", "peak_of", "proportional", "resident", "tree_sizes"]

POLL_S = 0.1


def resident(process: psutil.Process) -> int:
    """Bytes in memory; what processes share counts for each of them."""
    return process.memory_info().rss


def proportional(process: psutil.Process) -> int:
    """Bytes in memory (Linux); what processes share is divided among them."""
    return process.memory_full_info().pss


def tree_sizes(root: psutil.Process, size: Callable[[psutil.Process], int]) -> list[int]:
    """Bytes of a process and of each that it started, as far as they are there just now."""
    sizes: list[int] = []
    try:
        for one in (root, *root.children(recursive=True)):
            sizes.append(size(one))
    except psutil.Error:
        pass
    return sizes


@dataclass(frozen=True)
class Seen:
    """What was seen of a command: how long it took, what it printed, and its memory at most.

    `sizes` are the bytes of its processes, its own first, when they were most, `peak_s` after the
    start.
    """

    sizes: tuple[int, ...]
    peak_s: float
    seconds: float
    out: str

    @property
    def peak_bytes(self) -> int:
        """Bytes of all its processes at most."""
        return sum(self.sizes)


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
    root = psutil.Process(process.pid)
    most, peak_s = [0], 0.0

    def watch() -> None:
        nonlocal most, peak_s
        while process.poll() is None:
            sizes = tree_sizes(root, size)
            if sum(sizes) > sum(most):
                most, peak_s = sizes, time.perf_counter() - started
            time.sleep(poll_s)

    watcher = threading.Thread(target=watch)
    watcher.start()
    out, _ = process.communicate()
    watcher.join()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Seen(tuple(most), peak_s, time.perf_counter() - started, out)

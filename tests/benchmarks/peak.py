"""The largest memory that a command and its children hold while they run."""

import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

__all__ = ["Seen", "peak_of"]

POLL_S = 0.1


@dataclass(frozen=True)
class Seen:
    """What was seen of a command: resident bytes of all its processes, seconds, what it printed."""

    peak_bytes: int
    seconds: float
    out: str


def peak_of(command: Sequence[str]) -> Seen:
    """Run a command to its end and watch it.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    root, peak = psutil.Process(process.pid), 0

    def watch() -> None:
        nonlocal peak
        while process.poll() is None:
            total = 0
            try:
                for one in (root, *root.children(recursive=True)):
                    total += one.memory_info().rss
            except psutil.Error:
                pass
            peak = max(peak, total)
            time.sleep(POLL_S)

    watcher = threading.Thread(target=watch)
    watcher.start()
    out, _ = process.communicate()
    watcher.join()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Seen(peak, time.perf_counter() - started, out)

"""What a command costs, with all processes that it starts: time, processor, memory, cores."""

import resource
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.benchmarks.peak import proportional, tree_sizes

__all__ = ["Cost", "cost_of"]

CORES_S, MEMORY_S = 0.1, 0.4  # between two looks
BUSY = 0.8  # of the time between two looks


@dataclass(frozen=True)
class Cost:
    """One run: seconds by the clock and of all cores, largest PSS, share with every core busy."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    all_busy: float
    out: str


def cost_of(command: Sequence[str], cwd: Path) -> Cost:
    """Run a command to its end.

    Raises:
        SystemExit: it failed; its last words are in the message.
    """
    before, started = _children_s(), time.perf_counter()
    process = subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    memory, cores = _Memory(process), _Cores(process)
    for watcher in (memory, cores):
        watcher.start()
    out, told = process.communicate()
    wall_s = time.perf_counter() - started
    for watcher in (memory, cores):
        watcher.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {process.returncode}\n{told[-2000:]}")
    return Cost(wall_s, _children_s() - before, memory.peak, cores.share, out)


def _children_s() -> float:
    """Seconds of processor that ended children took, theirs included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Memory(threading.Thread):
    """Adds up the PSS of the tree: shared pages count once."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        super().__init__(daemon=True)
        self._process = process
        self.peak = 0

    def run(self) -> None:
        root = psutil.Process(self._process.pid)
        while self._process.poll() is None:
            self.peak = max(self.peak, sum(tree_sizes(root, proportional)))
            time.sleep(MEMORY_S)


class _Cores(threading.Thread):
    """Counts how often every core that the process may use was at work (by /proc/stat)."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        super().__init__(daemon=True)
        self._process = process
        self._usable = psutil.Process(process.pid).cpu_affinity() or []
        self._busy = self._looks = 0

    @property
    def share(self) -> float:
        return self._busy / max(1, self._looks)

    def run(self) -> None:
        last = self._times()
        while self._process.poll() is None:
            time.sleep(CORES_S)
            now = self._times()
            shares = [(n[0] - b[0]) / max(1, n[1] - b[1]) for n, b in zip(now, last, strict=True)]
            self._looks += 1
            self._busy += all(share >= BUSY for share in shares)
            last = now

    def _times(self) -> list[tuple[int, int]]:
        """(busy, all) ticks of each core."""
        found = []
        for line in Path("/proc/stat").read_text().splitlines():
            name, *fields = line.split()
            if name[3:].isdigit() and name.startswith("cpu") and int(name[3:]) in self._usable:
                ticks = [int(field) for field in fields[:8]]
                found.append((sum(ticks) - ticks[3] - ticks[4], sum(ticks)))
        return found

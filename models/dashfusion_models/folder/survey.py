"""A look at files before the work: content hash and length, in a process that a file may crash."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashfusion_models.closing import Closing
from dashfusion_models.digest import sha256_of
from dashfusion_models.errors import DashfusionError
from dashfusion_models.folder.crew import News
from dashfusion_models.folder.found import stamp_of
from dashfusion_models.folder.limits import thread_environment
from dashfusion_models.folder.process import WorkerProcess
from dashfusion_models.folder.worker import Answer, Ready

__all__ = ["Facts", "Survey", "Surveyor", "look"]

_PATIENCE_S = 60.0
_BYTES_PER_S = 5_000_000  # a slow disk


@dataclass(frozen=True)
class Facts:
    """What a file tells at first sight; None and an empty stamp where it could not be read."""

    sha256: str | None = None
    stamp: str = ""
    duration_s: float | None = None


Survey = Callable[[str, int], Facts]  # (file, its bytes) -> what it tells


def look(file: str) -> Facts:
    """Read a file and say what it is."""
    from dashfusion_models.media import duration_of

    try:
        stamp = stamp_of(file)
        sha256 = sha256_of(Path(file))
    except OSError:
        return Facts()
    try:
        return Facts(sha256, stamp, duration_of(Path(file)))
    except (DashfusionError, OSError, ValueError):
        return Facts(sha256, stamp)


@dataclass(frozen=True)
class _Looking:
    def __call__(self) -> Callable[[str], Facts]:
        return look


class Surveyor(Closing):
    """Looks at one file after another; a file that ends or blocks the process tells nothing."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._news: News = queue.SimpleQueue()
        self._process: WorkerProcess | None = None

    def __call__(self, file: str, size: int) -> Facts:
        """Return what a file of `size` bytes tells."""
        if self._process is None:
            environment = thread_environment(1, cores=1)
            self._process = WorkerProcess(_Looking(), self._news, environment=environment)
        self._process.send(file)
        said = self._answer(_PATIENCE_S + size / _BYTES_PER_S)
        if isinstance(said, Facts):
            return said
        self.close()
        return Facts()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def _answer(self, patience_s: float) -> Any:
        until_s = time.monotonic() + patience_s
        while (left_s := until_s - time.monotonic()) > 0:
            try:
                who, said = self._news.get(timeout=min(left_s, 0.5))
            except queue.Empty:
                continue
            if who is not self._process or isinstance(said, Ready):
                continue
            return said.value if isinstance(said, Answer) else None
        return None

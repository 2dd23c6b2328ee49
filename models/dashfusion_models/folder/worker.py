"""The program of a worker process: loads its work once, then does one job after another.

Its parent writes pickles to its input: what loads the work, then jobs. It answers with pickles on
its output. When its input ends it ends too, whatever it is doing: its parent is gone then. A plain
program and not a multiprocessing target: that would run the user's script a second time, and the
numbers of threads must stand in the environment before anything is imported.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from dashfusion_models.errors import DashfusionError
from dashfusion_models.folder.jobs import TellingTask

__all__ = ["Answer", "Broken", "Ready", "Sign", "main"]

_SIGN_EVERY_S = 1.0


@dataclass(frozen=True)
class Ready:
    """The work is loaded."""


@dataclass(frozen=True)
class Answer:
    """What came of the latest job."""

    value: Any


@dataclass(frozen=True)
class Sign:
    """The latest job goes on; so many seconds of its media were decoded."""

    decoded_s: float


@dataclass(frozen=True)
class Broken:
    """The worker cannot work at all; `error` names a class of `errors`, or is None for others."""

    error: str | None
    message: str


def main() -> None:
    """Serve until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when this ends
    sink = _Sink(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)  # what a library prints is no answer
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    reader = threading.Thread(target=_read, args=(sys.stdin.buffer, waiting), daemon=True)
    reader.start()
    try:
        task = waiting.get()
        work = task.telling(sink.tell) if isinstance(task, TellingTask) else task()
        sink.send(Ready())
        while True:
            sink.send(Answer(work(waiting.get())))
    except Exception as error:
        traceback.print_exc()
        ours = type(error).__name__ if isinstance(error, DashfusionError) else None
        fact = " ".join(str(error).split())
        sink.send(Broken(ours, fact if ours else f"{type(error).__name__}: {fact}"))


def _read(source: BinaryIO, waiting: queue.SimpleQueue[Any]) -> None:
    """Take in what the parent sends (in a thread, to see its end in the middle of work)."""
    try:
        while True:
            waiting.put(pickle.load(source))
    except (EOFError, OSError):
        os._exit(0)
    except Exception as error:  # what was sent cannot be loaded here
        waiting.put(_raiser(error))


def _raiser(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any) -> Any:
        raise error

    return fail


class _Sink:
    """Where messages to the parent go, from any thread."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._told_s = -_SIGN_EVERY_S

    def send(self, message: Any) -> None:
        try:
            with self._lock:
                pickle.dump(message, self._file)
                self._file.flush()
        except BrokenPipeError:
            os._exit(0)

    def tell(self, decoded_s: float) -> None:
        """Send how much of a job's media was decoded, once a second at most."""
        now = time.monotonic()
        if now - self._told_s >= _SIGN_EVERY_S:
            self._told_s = now
            self.send(Sign(decoded_s))


if __name__ == "__main__":
    # What is pickled names this module by its own name, not by __main__.
    from dashfusion_models.folder import worker

    worker.main()
    sys.stdout.flush()
    os._exit(0)  # without the clean-up of libraries, whose threads may be in the middle of things

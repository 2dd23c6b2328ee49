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
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from dashfusion_models.errors import DashfusionError

__all__ = ["Answer", "Broken", "Ready", "main"]


@dataclass(frozen=True)
class Ready:
    """The work is loaded."""


@dataclass(frozen=True)
class Answer:
    """What came of the latest job."""

    value: Any


@dataclass(frozen=True)
class Broken:
    """The worker cannot work at all; `error` names a class of `errors`, or is None for others."""

    error: str | None
    message: str


def main() -> None:
    """Serve until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when this ends
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    reader = threading.Thread(target=_read, args=(sys.stdin.buffer, waiting), daemon=True)
    reader.start()
    try:
        work = waiting.get()()
        _send(sink, Ready())
        while True:
            _send(sink, Answer(work(waiting.get())))
    except Exception as error:
        traceback.print_exc()
        ours = type(error).__name__ if isinstance(error, DashfusionError) else None
        fact = " ".join(str(error).split())
        _send(sink, Broken(ours, fact if ours else f"{type(error).__name__}: {fact}"))


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


def _send(sink: BinaryIO, message: Any) -> None:
    try:
        pickle.dump(message, sink)
        sink.flush()
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    # What is pickled names this module by its own name, not by __main__.
    from dashfusion_models.folder import worker

    worker.main()
    sys.stdout.flush()
    os._exit(0)  # without the clean-up of libraries, whose threads may be in the middle of things

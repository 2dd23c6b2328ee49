"""How the process ends: soon when a signal says so, and never later than that for its threads.

Models are loaded and files decoded in threads, and in libraries that do not look up for seconds. A
signal unwinds the main thread, so that unfinished files go; what has not ended after a moment is
left where it is.
"""

import _thread
import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

__all__ = ["INTERRUPTED", "UNFINISHED", "Signalled", "end_on_signals", "leave"]

INTERRUPTED = 130  # the exit code
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # the last is not everywhere
_UNWIND_S = 0.4  # for what is under way to put its files away
_SHOW_CURSOR = b"\x1b[?25h"  # bars hide it

UNFINISHED: set[Path] = set()  # files of this process to be removed should it end before it does


class Signalled(BaseException):
    """A signal came: unwind, so that unfinished files go, and leave."""

    def __init__(self, number: int) -> None:
        """Remember which."""
        super().__init__(number)
        self.exit_code = 128 + number


def end_on_signals() -> None:
    """End on Ctrl-C, SIGTERM and SIGHUP, but on those that are ignored, as by nohup.

    What sets a handler of its own meanwhile does with the signal what it wants.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    ending = _Ending()
    for name in _SIGNALS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) in _USUAL:
            signal.signal(number, ending.unwind)
    told, tells = os.pipe()
    os.set_blocking(tells, False)
    signal.set_wakeup_fd(tells, warn_on_full_buffer=False)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=ending.forget)
    _thread.start_new_thread(ending.watch, (told,))


def leave(code: int) -> NoReturn:
    """End the process with its exit code.

    One that was told to end, or that failed, does not wait for what its threads load for nothing.
    """
    if code == 0:
        sys.exit(code)
    if code < 128:
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or never there
            stream.flush()
    os._exit(code)


_USUAL = (signal.SIG_DFL, signal.default_int_handler)


class _Ending:
    """Ends a process on its signals; `unwind` handles them, `watch` sees that it works."""

    def __init__(self) -> None:
        self._is_unwinding = False

    def unwind(self, number: int, frame: FrameType | None) -> None:
        """Unwind the main thread: the handler, called when it comes out of a library."""
        if self._is_unwinding:
            return  # the files are being put away
        self._is_unwinding = True
        # Not threading.Thread: what was interrupted may hold the lock that its start takes.
        _thread.start_new_thread(_end_later, (number,))
        raise KeyboardInterrupt if number == signal.SIGINT else Signalled(number)

    def watch(self, told: int) -> None:
        """Hear of signals when they come, whatever the main thread is in: in a thread."""
        seen = 0
        while byte := os.read(told, 1):
            number = byte[0]
            if signal.getsignal(number) != self.unwind:
                continue
            seen += 1
            if seen == 1:
                _thread.start_new_thread(_end_later, (number,))
            else:
                _end(number)

    def forget(self) -> None:
        """Leave signals as usual to a process that was forked off."""
        signal.set_wakeup_fd(-1)
        for name in _SIGNALS:
            number = getattr(signal, name)
            if signal.getsignal(number) == self.unwind:
                usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
                signal.signal(number, usual)


def _end_later(number: int) -> None:
    time.sleep(_UNWIND_S)
    _end(number)


def _end(number: int) -> NoReturn:
    for path in tuple(UNFINISHED):
        with contextlib.suppress(OSError):
            path.unlink()
    with contextlib.suppress(OSError):
        if os.isatty(2):
            os.write(2, _SHOW_CURSOR)
    os._exit(128 + number)

"""What is redrawn at the foot of a terminal, and what is printed above it meanwhile."""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, TextIO, cast

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

__all__ = ["drawn_below"]


@contextlib.contextmanager
def drawn_below(
    console: Console,
    render: Callable[[], RenderableType],
    *,
    times_per_s: float,
    transient: bool = False,
    lock: AbstractContextManager[object] | None = None,
) -> Iterator[None]:
    """Redraw what `render` returns until the block ends; wipe it then if `transient`.

    What the process prints to stderr in the block stands above it. Whatever writes to the terminal
    by another way (stdout) must wait for the end of the block; whoever prints to `console` holds
    `lock`, which is held while it is drawn.

    Each block has a `Live` of its own: one that is started again erases as many lines above it as
    it had when it was stopped, which by then hold what was printed since. It is redrawn by a thread
    of ours: rich's own may draw while another one prints, and then a line of what it drew stays.
    """
    lock = lock or threading.RLock()
    above = _Above(console, sys.stderr, lock)
    live = Live(
        get_renderable=render,
        console=console,
        auto_refresh=False,
        transient=transient,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    ended = threading.Event()

    def redraw() -> None:
        while not ended.wait(1 / times_per_s):
            with lock:
                live.refresh()

    thread = threading.Thread(target=redraw, daemon=True)
    try:
        with live, contextlib.redirect_stderr(cast(TextIO, above)):
            thread.start()
            try:
                yield
            finally:
                ended.set()
                thread.join()
    finally:
        above.finish()


class _Above:
    """Stands in for stderr: prints lines above what is drawn, as long as they are."""

    def __init__(
        self, console: Console, stderr: TextIO, lock: AbstractContextManager[object]
    ) -> None:
        self._console = console
        self._stderr = stderr
        self._lock = lock
        self._begun = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stderr, name)

    def write(self, text: str) -> int:
        """Print the lines that are whole now."""
        with self._lock:
            *lines, self._begun = (self._begun + text).split("\n")
            if lines:
                whole = Text.from_ansi("\n".join(lines))
                self._console.print(whole, soft_wrap=True, highlight=False)
        return len(text)

    def flush(self) -> None:
        """Wait for the end of a line: what is drawn begins on a line of its own."""

    def finish(self) -> None:
        """Print the line that was never ended; what a thread still writes goes on after it."""
        with self._lock:
            begun, self._begun = self._begun, ""
            if begun:
                self._stderr.write(begun)
                self._stderr.flush()

"""How far a run is: bars on a terminal, a plain line now and then elsewhere."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Column
from rich.text import Text

from dashfusion_cli.course import duration
from dashfusion_cli.display import drawn_below
from dashfusion_cli.messages import harmless
from dashfusion_cli.session import Session

if TYPE_CHECKING:  # it brings NumPy, which --help must not wait for
    from dashfusion_models.records import Progress

__all__ = ["FILES", "Board", "PlainLines", "show_progress"]

_LINE_EVERY_S = 10.0
_DRAWN_PER_S = 10
_MEGABYTE = 1e6
FILES = "files"  # their pace and the time left stand in the note: files are of different lengths


class Board(Protocol):
    """Takes the events of a run; `title` names what the following events are about."""

    def title(self, text: str, *, number: int = 1, of: int = 1) -> None:
        """Say what comes next, such as the `number`th file `of` several; earlier bars go."""

    def __call__(self, event: "Progress") -> None:
        """Take one event; may be called from any thread."""

    def aside(self) -> AbstractContextManager[None]:
        """Get out of the way while something else is printed."""


@contextlib.contextmanager
def show_progress(session: Session) -> Iterator[Board]:
    """Yield the board that fits stderr: bars on a terminal, lines elsewhere, nothing if quiet."""
    if session.quiet:
        yield _Silence()
        return
    console = Console(file=sys.stderr)
    if not sys.stderr.isatty() or console.is_dumb_terminal:
        yield PlainLines(sys.stderr)
        return
    with contextlib.closing(_Bars(console)) as bars:
        yield bars


class _Silence:
    def title(self, text: str, *, number: int = 1, of: int = 1) -> None: ...

    def __call__(self, event: "Progress") -> None: ...

    def aside(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()


class _Bars:
    """One rich bar for each stage, drawn from one event on until something else is printed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (
            TextColumn("[bold]{task.description}", markup=True),
            BarColumn(),
            _Amount(),
            _Speed(),
            _Left(compact=True, table_column=Column(no_wrap=True)),
            TextColumn("[dim]{task.fields[note]}"),
        )
        self._bars = RichProgress(
            *columns, console=console
        )  # never started: `drawn_below` draws it
        self._tasks: dict[str, TaskID] = {}
        self._drawn: contextlib.ExitStack | None = None
        self._is_aside = False
        self._lock = threading.Lock()

    def title(self, text: str, *, number: int = 1, of: int = 1) -> None:
        with self.aside(), self._lock:
            for task in self._tasks.values():
                self._bars.remove_task(task)
            self._tasks = {}
            if of > 1:
                line = Text(_counted(text, number, of), style="dim")
                self._console.print(line, highlight=False, soft_wrap=True)

    def __call__(self, event: "Progress") -> None:
        with self._lock:
            task = self._tasks.get(event.stage)
            if task is None:
                task = self._bars.add_task(event.stage, total=event.total, unit=event.unit, note="")
                self._tasks[event.stage] = task
            self._bars.update(task, completed=event.done, total=event.total, note=event.note)
            if self._drawn is None and not self._is_aside:
                drawing = drawn_below(
                    self._console,
                    self._bars.get_renderable,
                    times_per_s=_DRAWN_PER_S,
                    transient=True,
                )
                self._drawn = contextlib.ExitStack()
                self._drawn.enter_context(drawing)

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        self._leave()
        try:
            yield
        finally:
            self._is_aside = False

    def close(self) -> None:
        """Wipe the bars; what a thread still reports is not drawn any more."""
        self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._is_aside = True
            if self._drawn is not None:
                self._drawn.close()
                self._drawn = None


class _OneLine(ProgressColumn):
    """A column that is cut where the terminal is narrow; wrapped, it would make a bar two lines."""

    def __init__(self) -> None:
        super().__init__(table_column=Column(no_wrap=True))


class _Amount(_OneLine):
    def render(self, task: Task) -> Text:
        return Text(_amount(task.completed, task.total, task.fields["unit"]), style="dim")


class _Speed(_OneLine):
    def render(self, task: Task) -> Text:
        return Text(_speed(task.finished_speed or task.speed, task.fields["unit"]), style="cyan")


class _Left(TimeRemainingColumn):
    """Time left, where the note does not tell it."""

    def render(self, task: Task) -> Text:
        return Text("") if task.fields["unit"] == FILES else super().render(task)


class PlainLines:
    """At most one line every ten seconds, for logs and for those who read with a screen reader."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._lock = threading.Lock()
        self._last_line_s = clock()
        self._stage_began: dict[str, tuple[float, float]] = {}
        self._title = ""

    def title(self, text: str, *, number: int = 1, of: int = 1) -> None:
        """Start every following line with this."""
        with self._lock:
            self._title = f"{_counted(text, number, of)}: "
            self._stage_began = {}

    def __call__(self, event: "Progress") -> None:
        """Print how far the stage is, if the last line is long enough ago."""
        with self._lock:
            now = self._clock()
            began_s, at_first = self._stage_began.setdefault(event.stage, (now, event.done))
            if now - self._last_line_s < _LINE_EVERY_S:
                return
            self._last_line_s = now
            facts = [_amount(event.done, event.total, event.unit)]
            facts += [event.note] if event.note else []
            speed = (event.done - at_first) / (now - began_s) if now > began_s else None
            if speed and event.unit != FILES:
                facts.append(_speed(speed, event.unit))
                if event.total is not None:
                    left_s = max(0.0, event.total - event.done) / speed
                    facts.append(f"{duration(left_s)} left")
            with contextlib.suppress(OSError, ValueError):  # stderr may be closed
                self._stream.write(f"{self._title}{event.stage} {', '.join(facts)}\n")
                self._stream.flush()

    def aside(self) -> AbstractContextManager[None]:
        """Lines are in nobody's way."""
        return contextlib.nullcontext()


def _counted(text: str, number: int, of: int) -> str:
    text = harmless(text)
    return f"[{number}/{of}] {text}" if of > 1 else text


def _amount(done: float, total: float | None, unit: str) -> str:
    if unit == "B":
        done, total, unit = done / _MEGABYTE, total and total / _MEGABYTE, "MB"
    digits = 0 if unit not in {"s", "MB"} else 1
    of = f" of {total:.{digits}f}" if total is not None else ""
    return f"{done:.{digits}f}{of} {unit}"


def _speed(per_second: float | None, unit: str) -> str:
    """Write a speed; seconds of media in a second are a multiple of real time."""
    if not per_second or unit == FILES:
        return ""
    if unit == "s":
        return f"{per_second:.1f}x"
    if unit == "B":
        return f"{per_second / _MEGABYTE:.1f} MB/s"
    for seconds, name in ((1, "s"), (60, "min"), (3600, "h")):
        if per_second * seconds >= 1 or name == "h":
            break
    return f"{per_second * seconds:.1f} {unit}/{name}"

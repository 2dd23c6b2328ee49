"""How a training goes: a table that grows on a terminal, a plain line now and then elsewhere."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dashfusion_cli.course import Course
from dashfusion_cli.display import drawn_below
from dashfusion_cli.session import Session
from dashfusion_training.watch import UNWATCHED, Watcher

__all__ = ["training_view"]

_LINE_EVERY_S = 10.0
_DRAWN_PER_S = 4
_EPOCHS_SHOWN = 8
_LINES_AROUND = 5  # of the rows: title, head, sparkline, bar, prompt
_SPARKS = "▁▂▃▄▅▆▇█"
_SPARKS_ASCII = "_.-=+*%#"
_SPARKS_SHOWN = 40


@contextlib.contextmanager
def training_view(
    session: Session,
    *,
    console: Console | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Watcher]:
    """Yield the view that fits stderr, or `console`: a table on a terminal, or lines, or nothing.

    The table of the last epochs stays on the screen at the end; the bar goes.
    """
    if session.quiet:
        yield UNWATCHED
        return
    place = console or Console(file=sys.stderr)
    terminal = sys.stderr.isatty() if console is None else console.is_terminal
    if not terminal or place.is_dumb_terminal:
        yield _Lines(place.file, clock)
        return
    table = _Growing(place, clock)
    with drawn_below(place, table.render, times_per_s=_DRAWN_PER_S, lock=table.printing):
        try:
            yield table
        finally:
            table.close()


@dataclass(frozen=True)
class _Epoch:
    """A line of the table."""

    number: int
    train_loss: float | None
    valid_mae: float
    valid_corr: float | None
    best: bool

    def cells(self) -> tuple[str, str, str, str, str]:
        corr = "-" if self.valid_corr is None else f"{self.valid_corr:.3f}"
        loss = "-" if self.train_loss is None else f"{self.train_loss:.4f}"
        best = "best" if self.best else ""
        return str(self.number), loss, f"{self.valid_mae:.4f}", corr, best


class _Lines:
    """At most a line every ten seconds, and one for each epoch that is done."""

    def __init__(self, stream: IO[str], clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._course = Course(clock)
        self._last_line_s = clock()

    def begin(self, number: int, of: int, name: str) -> None:
        self._course.begin(number, of, name)

    def step(self, epoch: int, epochs: int, batch: int, batches: int, loss: float) -> None:
        course = self._course
        course.step(epoch, epochs, batch, batches, loss)
        if self._clock() - self._last_line_s >= _LINE_EVERY_S:
            facts = [f"step {batch} of {batches}", f"loss {loss:.4f}", *course.pace()]
            self._say(f"epoch {epoch} of {epochs}, {', '.join(facts)}")

    def epoch(
        self,
        epoch: int,
        train_loss: float | None,
        valid_mae: float,
        valid_corr: float | None,
        best: bool,
    ) -> None:
        _, loss, mae, corr, mark = _Epoch(epoch, train_loss, valid_mae, valid_corr, best).cells()
        facts = [f"valid MAE {mae}", f"Corr {corr}", *([mark] if mark else [])]
        of = f" of {self._course.epochs}" if self._course.epochs else ""
        done = "before training" if train_loss is None else f"epoch {epoch}{of} done, loss {loss}"
        self._say(f"{done}, {', '.join(facts)}")

    def _say(self, text: str) -> None:
        self._last_line_s = self._clock()
        title = self._course.title()
        with contextlib.suppress(OSError, ValueError):  # stderr may be closed
            print(f"{title}: {text}" if title else text, file=self._stream)
            self._stream.flush()


class _Growing:
    """The last epochs as a table, a sparkline of all, and a bar; drawn by a thread of its own."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self.printing = threading.RLock()
        self._console = console
        self._course = Course(clock)
        self._epochs: list[_Epoch] = []
        self._closed = False
        self._lock = threading.Lock()

    def begin(self, number: int, of: int, name: str) -> None:
        with self._lock:
            before = _best(self._epochs)
            if before is not None and self._course.name:
                line = f"{self._course.title()}: {_best_words(before)}"
            else:
                line = ""
            self._course.begin(number, of, name)
            self._epochs = []
        if line:
            with self.printing:
                self._console.print(Text(line, style="dim"), highlight=False)

    def step(self, epoch: int, epochs: int, batch: int, batches: int, loss: float) -> None:
        with self._lock:
            self._course.step(epoch, epochs, batch, batches, loss)

    def epoch(
        self,
        epoch: int,
        train_loss: float | None,
        valid_mae: float,
        valid_corr: float | None,
        best: bool,
    ) -> None:
        with self._lock:
            self._epochs.append(_Epoch(epoch, train_loss, valid_mae, valid_corr, best))

    def close(self) -> None:
        """Leave the bar out of what stays on the screen."""
        with self._lock:
            self._closed = True

    def render(self) -> RenderableType:
        """Draw it as it is now."""
        with self._lock:
            parts: list[RenderableType] = []
            if title := self._course.title():
                parts.append(Text(f"  {title}", style="bold"))
            if self._epochs:
                parts += [self._table(), self._sparkline()]
            if self._course.epoch and not self._closed:
                parts.append(self._bar())
            return Group(*parts)

    def _table(self) -> Table:
        space = 2 if self._console.width >= 60 else 0
        table = Table(box=None, padding=(0, space, 0, 2), header_style="bold")
        for name in ("epoch", "loss", "valid MAE", "Corr"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("")
        shown = min(_EPOCHS_SHOWN, max(1, self._console.height - _LINES_AROUND))
        best = _best(self._epochs)
        rows = self._epochs[-shown:]
        if best is not None and best not in rows:
            rows = [best, *rows[1:]]  # the best is worth a line, however long ago
        for row in rows:
            is_best = row is best
            cells = (*row.cells()[:-1], "best" if is_best else "")
            table.add_row(*cells, style="bold green" if is_best else "")
        return table

    def _sparkline(self) -> Text:
        width = max(1, min(_SPARKS_SHOWN, self._console.width - 32))
        values = [epoch.valid_mae for epoch in self._epochs[-width:]]
        sparks = _SPARKS if _can_show(self._console, _SPARKS) else _SPARKS_ASCII
        between = f" {min(values):.4f} to {max(values):.4f}"
        return Text.assemble(
            ("  valid MAE ", "dim"), (_sparks(values, sparks), "cyan"), (between, "dim")
        )

    def _bar(self) -> Table:
        course = self._course
        facts = [f"{course.batch} of {course.batches}", f"loss {course.loss:.3f}", *course.pace()]
        line = Table.grid(padding=(0, 1))
        for _ in range(3):
            line.add_column(no_wrap=True)
        line.add_row(
            Text(f"  epoch {course.epoch} of {course.epochs}"),
            ProgressBar(total=course.batches, completed=course.batch, width=20),
            Text(", ".join(facts), style="dim"),
        )
        return line


def _best(epochs: list[_Epoch]) -> _Epoch | None:
    """The last that was the best so far."""
    return next((epoch for epoch in reversed(epochs) if epoch.best), None)


def _best_words(epoch: _Epoch) -> str:
    number, _, mae, corr, _ = epoch.cells()
    return f"best epoch {number}, valid MAE {mae}, Corr {corr}"


def _sparks(values: list[float], sparks: str) -> str:
    low, high = min(values), max(values)
    steps = len(sparks) - 1
    span = high - low or 1.0
    return "".join(sparks[round(steps * (value - low) / span)] for value in values)


def _can_show(console: Console, text: str) -> bool:
    try:
        text.encode(console.encoding)
    except UnicodeError:
        return False
    return True

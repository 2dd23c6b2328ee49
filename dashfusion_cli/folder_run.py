"""One run over a folder, as a person at a terminal meets it: told of, stoppable, tabled."""

import _thread
import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from dashfusion_cli.course import duration
from dashfusion_cli.messages import say_note, say_warning
from dashfusion_cli.output import Output
from dashfusion_cli.progress import FILES, Board, show_progress
from dashfusion_cli.render.csv import COLUMNS, csv_bytes, segment_rows
from dashfusion_cli.render.folder import SUMMARY_COLUMNS, summary_row
from dashfusion_cli.session import Session
from dashfusion_models.folder import Batch, Engine, Outcome, Pace, Plan, Stop, Wanted
from dashfusion_models.records import Progress

__all__ = ["interruptible", "plan_folder", "run_folder"]

_TABLES = ("summary.csv", "segments.csv")


def run_folder(
    batch: Batch,
    plan: Plan,
    engine: Engine,
    folder: Path,
    session: Session,
    also_write: Callable[[], None] = lambda: None,
) -> None:
    """Do what is planned and write the tables, also where somebody interrupts it.

    `also_write` writes what else is made of the records, after the tables.

    Raises:
        KeyboardInterrupt: somebody did, and files are left.
        DashfusionError: the disk is full, or no worker can work.
    """
    stop = Stop()
    try:
        if plan.to_do:
            say_note(_announcement(plan, batch.pace(engine.workers)), session)
            with interruptible(stop, session), show_progress(session) as board:
                _work(batch, plan, engine, stop, board, session)
    except Exception:
        raise  # the tables would meet the same fault
    except BaseException:
        _write_tables(batch, folder)
        also_write()
        raise
    _write_tables(batch, folder)
    also_write()
    if stop.asked and (left := batch.counts()[2]):
        say_note(f"{folder}: {left} files are left; run again to go on", session)
        raise KeyboardInterrupt


def plan_folder(batch: Batch, wanted: Wanted, session: Session) -> Plan:
    """Find out what is to be done, and show how far that is where it takes long."""
    with show_progress(session) as board:
        return batch.plan(
            wanted, report=lambda seen, of: board(Progress("looking", seen, of, "entries"))
        )


def _work(
    batch: Batch, plan: Plan, engine: Engine, stop: Stop, board: Board, session: Session
) -> None:
    course = _FolderCourse(plan, batch.pace(engine.workers))
    board(course.event())
    with contextlib.closing(batch.run(engine, stop)) as outcomes:
        for outcome, media_s in outcomes:
            course.add(outcome, media_s)
            if outcome.kind or outcome.warnings:
                with board.aside():
                    _tell(outcome, session)
            board(course.event())


def _tell(outcome: Outcome, session: Session) -> None:
    if outcome.kind:
        say_warning(outcome.message, session)
    for warning in outcome.warnings:
        say_warning(f"{outcome.path}: {warning}", session)


def _announcement(plan: Plan, pace: Pace) -> str:
    """Files, hours of media, estimated end."""
    left_s = pace.left_s(plan.to_do, plan.media_s, loaded=False)
    end = time.localtime(time.time() + left_s)
    before = plan.files - plan.to_do
    workers = f"{pace.workers} worker{'s' * (pace.workers > 1)}"
    at = time.strftime("%H:%M" if left_s < 12 * 3600 else "%Y-%m-%d %H:%M", end)
    return (
        f"{plan.files} files"
        + (f", {before} of them done before" if before else "")
        + f"; {'about ' if plan.is_guess else ''}{_length(plan.media_s)} of media to do, "
        f"{workers}, done at about {at} (in {duration(left_s)})"
    )


def _length(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes"


@dataclass
class _FolderCourse:
    """How far a run is, how fast it goes, how long it will still take."""

    plan: Plan
    pace: Pace
    done: int = 0
    failed: int = 0
    media_s: float = 0.0
    began_s: float = field(default_factory=time.monotonic)
    measured: bool = False

    def add(self, outcome: Outcome, media_s: float) -> None:
        """Count one file."""
        self.done += 1
        self.failed += outcome.kind is not None
        self.media_s += media_s
        if outcome.kind is None and outcome.seconds > 0:
            if not self.measured:  # what this run measures counts more than what was before
                self.pace, self.measured = Pace(self.pace.workers), True
            self.pace.add(media_s, outcome.seconds)

    def event(self) -> Progress:
        """Return what the board shows."""
        minutes = (time.monotonic() - self.began_s) / 60
        facts = [f"{self.done / minutes:.1f} files/min"] if self.done and minutes > 0 else []
        left = self.plan.to_do - self.done
        if left > 0:
            left_s = self.pace.left_s(left, max(0.0, self.plan.media_s - self.media_s))
            facts.append(f"{duration(left_s)} left")
        if self.failed:
            facts.append(f"{self.failed} failed")
        return Progress("batch", self.done, self.plan.to_do, FILES, ", ".join(facts))


@contextlib.contextmanager
def interruptible(
    stop: Stop,
    session: Session,
    *,
    first: str = "the files under way",
    signals: Sequence[signal.Signals] = (signal.SIGINT,),
) -> Iterator[None]:
    """Let the first of `signals` stop after what is under way; the second does what it always did.

    `first` says in words what is finished before the stop.
    """
    former: dict[int, Any] = {}

    def interrupt(number: int, frame: FrameType | None) -> None:
        if stop.asked:
            if callable(former[number]):
                former[number](number, frame)
            raise KeyboardInterrupt
        stop.ask(number)
        # Printing may be what was interrupted, and what is drawn must not be written over: a
        # thread waits for both. Not threading.Thread, whose start takes a lock of the module.
        said = f"stopping after {first}; Ctrl-C again stops at once"
        _thread.start_new_thread(say_note, (said, session))

    try:
        for one in signals:
            if signal.getsignal(one) is not signal.SIG_IGN:  # as in a job in the background
                former[one] = signal.signal(one, interrupt)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _write_tables(batch: Batch, folder: Path) -> None:
    """Write both tables whole, or leave the old ones; a record at a time, however many there are.

    Raises:
        OutputError: the disk is full, or the place cannot be written.
    """
    summary, segments = (folder / name for name in _TABLES)
    for table in (summary, segments):
        for leftover in folder.glob(f".{table.name}.*"):  # of a run that was killed
            leftover.unlink(missing_ok=True)
    with Output(summary, force=True) as lines, Output(segments, force=True) as rows:
        lines.write(csv_bytes([SUMMARY_COLUMNS]))
        rows.write(csv_bytes([COLUMNS]))
        for record in batch.records():
            lines.write(csv_bytes([summary_row(record)]))
            if "error" not in record:
                rows.write(csv_bytes(segment_rows(record)))

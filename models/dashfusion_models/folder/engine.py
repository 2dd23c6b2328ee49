"""What does the work of a folder: processes of this machine, or whatever keeps this contract."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from dashfusion_models import errors
from dashfusion_models.errors import DashfusionError, FolderError
from dashfusion_models.folder.jobs import (
    Job,
    Outcome,
    Stop,
    Task,
    Tell,
    TellingTask,
    Work,
    attempt,
)

__all__ = ["TRIES", "Attempts", "Engine", "raised"]

TRIES = 2  # of a file whose worker dies or hangs


@runtime_checkable
class Engine(Protocol):
    """Does jobs somewhere: in processes of this machine, on a cluster."""

    workers: int

    def run(self, jobs: Iterator[Job], stop: Stop) -> Generator[Outcome, None, None]:
        """Yield the outcomes in the order in which they come.

        Jobs are taken one by one, as there is somebody to do them. Once `stop` is asked no more are
        taken, and the run ends with what is under way; jobs may be left without an outcome then.
        Whoever drops the iterator ends all work at once.

        Raises:
            DashfusionError: what would go wrong with every file.
        """


@dataclass(frozen=True)
class Attempts:
    """Loads a task in a worker; it does jobs and turns what goes wrong into outcomes."""

    task: Task

    def __call__(self) -> _Attempt:
        """Load it; return what does a job."""
        return _Attempt(self.task())

    def telling(self, tell: Tell) -> _Attempt:
        """Load it to tell how far it is with a job, if it can."""
        if not isinstance(self.task, TellingTask):
            return self()
        return _Attempt(self.task.telling(tell), begin=lambda: tell(0.0))


@dataclass(frozen=True)
class _Attempt:
    work: Work
    begin: Callable[[], None] = lambda: None

    def __call__(self, job: Job) -> Outcome:
        self.begin()
        return attempt(self.work, job)


def raised(name: str | None, message: str) -> DashfusionError:
    """The error that a worker met, as its parent raises it."""
    kind = getattr(errors, name, None) if name in errors.__all__ else None
    if isinstance(kind, type) and issubclass(kind, DashfusionError):
        return kind(message)
    return FolderError(f"worker: does not start ({message}); run again with -v")

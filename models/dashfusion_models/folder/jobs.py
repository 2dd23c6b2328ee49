"""What is to be done with one file of a folder, and what came of it.

Engines of any kind (processes of this machine, a cluster) take jobs and give outcomes. A failure is
the file's own (it stays until the file changes) or the machine's (tried again at the next run); its
`kind` tells which.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from dashfusion_models.digest import readable_sha256
from dashfusion_models.errors import (
    CheckpointError,
    ConfigError,
    DashfusionError,
    DeviceError,
    MediaError,
    NothingToScore,
    SpeechError,
    TranscriptError,
    WeightsError,
)
from dashfusion_models.folder.transcripts import content_of_record, name_of, run_of
from dashfusion_models.plain_json import json_bytes

__all__ = [
    "FAILURE_SCHEMA",
    "MACHINE_KINDS",
    "NEVER_MENDED",
    "Job",
    "Outcome",
    "Stop",
    "Task",
    "Tell",
    "TellingTask",
    "Work",
    "attempt",
    "failed",
]

FAILURE_SCHEMA = "dashfusion/failure/1"
MACHINE_KINDS = frozenset({"disk", "memory", "killed", "timeout", "speech"})
# What goes wrong with every file alike; a batch stops with it instead of failing file by file.
NEVER_MENDED = (CheckpointError, ConfigError, DeviceError, WeightsError)

_DISK = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EIO", "EROFS", "EMFILE", "ENFILE", "ESTALE")
    if hasattr(errno, name)
}


@dataclass(frozen=True)
class Job:
    """One file: `path` as its record names it, `file` where it is opened from here.

    `duration_s` is None where nobody could tell, `size` is in bytes. `transcript` is where a
    transcript is opened that takes the place of recognition; records call it by the name of `path`.
    """

    path: str
    file: str
    size: int
    duration_s: float | None = None
    transcript: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of the file that records call `path`.

    `line` is its line of `results.jsonl`, in JSON. `kind` is that of a failure, None of an
    analysis, and `message` says what went wrong; `warnings` are those of an analysis. `sha256` is
    the content's (with a transcript, that of both: `transcripts.content_of`), None where it could
    not be read. `seconds` is how long the work took.
    """

    path: str
    line: bytes = field(repr=False)
    sha256: str | None
    kind: str | None = None
    message: str = ""
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0


Work = Callable[[Job], Mapping[str, Any]]  # a file to its record; one a process
Task = Callable[[], Work]  # loads what the work needs; can be pickled
Tell = Callable[[float], None]  # hears, from any thread, how many seconds of media were decoded


@runtime_checkable
class TellingTask(Protocol):
    """A task whose work can tell how far it is."""

    def telling(self, tell: Tell) -> Work:
        """Load what the work needs; the work calls `tell` as it goes on with a job."""


class Stop:
    """Whether somebody wants the work to end after what is under way."""

    def __init__(self) -> None:
        """Nobody does yet."""
        self.asked = False
        self.signal: int | None = None  # that asked, where one did

    def ask(self, signal: int | None = None) -> None:
        """Start nothing new; may be called from the handler of a signal."""
        self.asked, self.signal = True, signal


def attempt(work: Work, job: Job) -> Outcome:
    """Do one job; whatever is wrong with the file, or with the machine just now, is an outcome.

    Raises:
        DashfusionError: what would go wrong with every file (`NEVER_MENDED`).
    """
    started = time.perf_counter()
    try:
        record = dict(work(job))
        record["media"] = {**record["media"], "path": job.path}
        if job.transcript is not None:
            record["run"] = {**record["run"], "transcript": name_of(job.path, job.transcript)}
        line, sha256 = json_bytes(record), content_of_record(record)
    except NEVER_MENDED:
        raise
    except Exception as error:
        kind, message = _said(error, job)
        seconds = time.perf_counter() - started
        return failed(job, kind, message, sha256=readable_sha256(Path(job.file)), seconds=seconds)
    return Outcome(
        job.path,
        line,
        sha256,
        warnings=tuple(record.get("warnings", ())),
        seconds=time.perf_counter() - started,
    )


def failed(
    job: Job, kind: str, message: str, *, sha256: str | None = None, seconds: float = 0.0
) -> Outcome:
    """The outcome of a job that failed, with its record; `sha256` is that of the file alone."""
    record: dict[str, Any] = {
        "schema": FAILURE_SCHEMA,
        "media": {"path": job.path, "sha256": sha256},
        "error": {"kind": kind, "message": message},
    }
    if job.transcript is not None:
        record["run"] = run_of(job.path, job.transcript)
    content = content_of_record(record)
    return Outcome(job.path, json_bytes(record), content, kind, message, seconds=seconds)


def _said(error: Exception, job: Job) -> tuple[str, str]:
    """The kind of a failure, and its message in one line."""
    message = " ".join(str(error).split())
    if job.file != job.path:
        message = message.replace(job.file, job.path)
    if job.transcript is not None:
        message = message.replace(job.transcript, name_of(job.path, job.transcript))
    if not isinstance(error, DashfusionError):
        message = f"{job.path}: {type(error).__name__}{f': {message}' if message else ''}"
    return _kind(error), message


def _kind(error: Exception) -> str:
    for cause in _causes(error):
        if isinstance(cause, MemoryError) or "out of memory" in str(cause).lower():
            return "memory"
        if isinstance(cause, OSError) and cause.errno in _DISK:
            return "disk"
    for kind, wanted in (
        ("nothing_to_score", NothingToScore),
        ("media", MediaError),
        ("speech", SpeechError),
        ("transcript", TranscriptError),
    ):
        if isinstance(error, wanted):
            return kind
    return "internal"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came from."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__

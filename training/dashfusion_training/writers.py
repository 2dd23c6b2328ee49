"""Curves elsewhere: writers that are told what a training's log.jsonl is told.

log.jsonl is the record, and what a writer shows is a view of it, made anew from it whenever the
training goes on. So nothing stands twice after a resumption, and a writer can be added to a
training that began without it. Each library is imported where it is opened.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import math
import os
import shutil
import time
import tomllib
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from dashfusion_models.errors import ConfigError
from dashfusion_training.files import first_line

__all__ = [
    "LogTo",
    "OpenWriter",
    "TensorBoard",
    "WeightsAndBiases",
    "Writer",
    "Writers",
    "entries_until",
    "scalars",
    "writers_of",
]

_log = logging.getLogger(__name__)

Entry = Mapping[str, Any]


@runtime_checkable
class Writer(Protocol):
    """Shows a training's log elsewhere; whatever it raises ends its work, not the training."""

    def write(self, entry: Entry) -> None:
        """Take a line of log.jsonl."""
        ...

    def close(self) -> None:
        """Finish what was written."""
        ...


OpenWriter = Callable[[Path], Writer]  # the folder of the training -> its writer


class LogTo(StrEnum):
    """The writers by name; each needs the extra of its name."""

    tensorboard = "tensorboard"
    wandb = "wandb"


class Writers:
    """The writers of one training; one that fails is left out with one warning."""

    def __init__(self, to: Sequence[OpenWriter]) -> None:
        self._to = tuple(to)
        self._at_work: list[Writer] = []

    def begin(self, folder: Path, *, epoch: int, step: int) -> None:
        """Open them for a training that goes on after `step`, in `epoch`; show them its past.

        Raises:
            ConfigError: the package of one is missing.
        """
        past = entries_until(folder / "log.jsonl", epoch=epoch, step=step) if self._to else []
        for opens in self._to:
            try:
                self._at_work.append(opens(folder))
            except ConfigError:
                raise
            except Exception as error:  # whatever a foreign library raises
                _warn(opens, error)
        for entry in past:
            self.write(entry)

    def write(self, entry: Entry) -> None:
        """Tell all; before `begin` nobody is there, and log.jsonl is read then."""
        self._each(lambda writer: writer.write(entry))

    def close(self) -> None:
        """Finish; nothing is written after it."""
        self._each(lambda writer: writer.close())
        self._at_work = []

    def _each(self, act: Callable[[Writer], None]) -> None:
        for writer in tuple(self._at_work):
            try:
                act(writer)
            except Exception as error:  # whatever a foreign library raises
                self._at_work.remove(writer)
                _warn(type(writer), error)
                with contextlib.suppress(Exception):  # it said what ails it
                    writer.close()


def writers_of(names: Iterable[LogTo]) -> tuple[OpenWriter, ...]:
    """What opens the named writers, each once, having seen that their packages are there.

    Raises:
        ConfigError: one is missing.
    """
    chosen = tuple(dict.fromkeys(names))
    for name in chosen:
        _import(name)
    return tuple(TensorBoard if name is LogTo.tensorboard else WeightsAndBiases for name in chosen)


def entries_until(log: Path, *, epoch: int, step: int) -> list[dict[str, Any]]:
    """What of a log counts for a training that goes on after `step`, in `epoch`.

    The epochs before `epoch` and the steps up to `step`; of one that stands twice the last, past a
    line that was cut off.
    """
    found: dict[tuple[Any, int], dict[str, Any]] = {}
    for number, line in enumerate(log.read_text("utf-8").splitlines() if log.is_file() else []):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        # An epoch's line may be written, and the state after it not: it will be written again.
        ends_epoch = entry["kind"] == "epoch"
        if entry["epoch"] < epoch if ends_epoch else entry.get("step", 0) <= step:
            key = (entry["kind"], entry.get("step", -number))
            found.pop(key, None)  # so that the order is that of the last
            found[key] = entry
    return list(found.values())


def scalars(entry: Entry) -> dict[str, float]:
    """The numbers of an entry by the names of their curves; those that are no number are left out.

    `valid/mae` is what the best checkpoint is chosen by: the mean over the sources. Where there are
    several, the metrics of each are `valid/<source>/<metric>`.
    """
    found: dict[str, Any] = {}
    if entry["kind"] == "step":
        found["train/loss"] = entry["loss"]
    elif entry["kind"] == "epoch":
        valid: Mapping[str, Mapping[str, Any]] = entry["valid"]
        for source, metrics in valid.items():
            place = f"valid/{source}" if len(valid) > 1 else "valid"
            found |= {f"{place}/{name}": value for name, value in metrics.items()}
        found |= {"train/epoch_loss": entry["train_loss"], "valid/mae": entry["valid_mae"]}
    return {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }


class TensorBoard:
    """RUN/tensorboard, for `tensorboard --logdir RUN`.

    Records are written here and now: torch's SummaryWriter does it in a thread, whose errors (a
    full disk) come late and as a traceback, and its file's name tells the machine's.
    """

    def __init__(self, folder: Path) -> None:
        _import(LogTo.tensorboard)
        self._proto = importlib.import_module("tensorboard.compat.proto.event_pb2")
        self._summary = importlib.import_module("tensorboard.compat.proto.summary_pb2").Summary
        records = importlib.import_module("tensorboard.summary.writer.record_writer")
        place = folder / "tensorboard"
        place.mkdir(parents=True, exist_ok=True)
        for former in place.glob("events.out.tfevents.*"):
            with contextlib.suppress(OSError):  # Windows keeps what a viewer has open
                former.unlink()
        self._file = (place / f"events.out.tfevents.{time.time_ns()}").open("wb")
        self._records = records.RecordWriter(self._file)
        self._add(time.time(), file_version="brain.Event:2")
        # A viewer forgets what it has read from a former file.
        start = self._proto.SessionLog(status=self._proto.SessionLog.START)
        self._add(time.time(), step=0, session_log=start)

    def write(self, entry: Entry) -> None:
        """Add a point to each curve that the entry has a number for."""
        values = [
            self._summary.Value(tag=name, simple_value=value)
            for name, value in scalars(entry).items()
        ]
        if values:
            self._add(_seconds(entry), step=entry["step"], summary=self._summary(value=values))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _add(self, seconds: float, **content: Any) -> None:
        event = self._proto.Event(wall_time=seconds, **content)
        self._records.write(event.SerializeToString())
        self._file.flush()


class WeightsAndBiases:
    """RUN/wandb, offline: nothing leaves the machine until its user types `wandb sync`.

    It holds the curves and config.toml; neither the machine's facts, nor its code or console. The
    run's id is new each time, so that one already synced is never mixed with the one made anew.
    """

    def __init__(self, folder: Path) -> None:
        wandb = _import(LogTo.wandb)
        folder = folder.resolve()
        place = folder / "wandb"
        for former in place.glob("offline-run-*"):
            shutil.rmtree(former, ignore_errors=True)
        (place / "cache").mkdir(parents=True, exist_ok=True)
        with _variable("WANDB_CACHE_DIR", str(place / "cache")):  # else in the home folder
            self._run = wandb.init(
                project="dashfusion",
                group=folder.parent.name,
                name=folder.name,
                id=uuid.uuid4().hex[:8],
                resume="never",
                reinit="create_new",  # never one that the caller has open, maybe online
                config=tomllib.loads((folder / "config.toml").read_text("utf-8")),
                settings=wandb.Settings(
                    mode="offline",
                    root_dir=str(folder),
                    console="off",
                    silent=True,
                    host="",  # else the machine's name
                    symlink=False,
                    disable_git=True,
                    disable_code=True,
                    save_code=False,
                    x_disable_meta=True,
                    x_disable_stats=True,
                    x_disable_machine_info=True,
                    x_save_requirements=False,
                ),
            )

    def write(self, entry: Entry) -> None:
        """Add a point to each curve that the entry has a number for."""
        if values := scalars(entry):
            self._run.log({**values, "_timestamp": _seconds(entry)}, step=entry["step"])

    def close(self) -> None:
        """Write what is left and let the run go."""
        self._run.finish()


def _import(name: LogTo) -> Any:
    """Import a writer's package.

    Raises:
        ConfigError: it is not there.
    """
    if name is LogTo.wandb:
        # Read at import and later. Even an offline run would report its use without it.
        os.environ["WANDB_ERROR_REPORTING"] = "false"
    try:
        return importlib.import_module(name.value)
    except ImportError as error:
        raise ConfigError(
            f"--log-to {name.value}: {first_line(error)}; pip install 'dashfusion[{name.value}]'"
        ) from error


@contextlib.contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """Set a variable of the environment for a while."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


def _seconds(entry: Entry) -> float:
    """When an entry was written, since 1970."""
    return datetime.fromisoformat(entry["time"]).timestamp()


def _warn(who: Any, error: Exception) -> None:
    name = getattr(who, "__name__", type(who).__name__)
    goes_on = "the training goes on without it; log.jsonl has everything, and --resume shows it"
    _log.warning("%s: stopped (%s); %s", name, first_line(error), goes_on)

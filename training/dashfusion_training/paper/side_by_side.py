"""Trainings one after the other in this process, or several at a time in processes of their own."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import shutil
import signal
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

import torch

from dashfusion_models.errors import DashfusionError
from dashfusion_models.resources import cores_here
from dashfusion_models.store import Store
from dashfusion_training.config import TrainConfig
from dashfusion_training.files import first_line
from dashfusion_training.train import Training, train
from dashfusion_training.watch import UNWATCHED, Watcher

__all__ = ["Job", "Outcome", "devices_for", "run_here", "run_side_by_side"]

_log = logging.getLogger(__name__)

CORES_A_JOB = 8  # fewer make a training slower than its turn later would


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training with one seed; it goes on where it was stopped."""

    name: str  # for people
    benchmark: str
    config: TrainConfig
    store: Path
    output: Path
    offline: bool


# What became of a job: None, or in one line why it failed.
Outcome = Callable[[Job, str | None], None]


def devices_for(where: torch.device, jobs: int | None = None) -> list[torch.device]:
    """The devices of trainings that run at the same time: `jobs`, or as many as there is room for.

    There is room for one on each GPU, if `where` names none of them, or on every eight cores.
    """
    cards = [where]
    if where.type == "cuda" and where.index is None:
        cards = [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
    room = max(1, cores_here() // CORES_A_JOB) if where.type == "cpu" else len(cards)
    return [cards[number % len(cards)] for number in range(jobs or room)]


def run_here(job: Job, device: torch.device, watch: Watcher) -> str | None:
    """Train; return None, or why that failed, whatever it was: others must not suffer.

    What only going on would need is removed at the end; it is three times the checkpoint.
    """
    try:
        train(
            Training(
                config=job.config,
                stores={job.benchmark: Store(job.store)},
                output=job.output,
                resume=(job.output / "config.toml").exists(),
                device=device,
                offline=job.offline,
                watch=watch,
            )
        )
    except DashfusionError as error:
        return str(error)
    except Exception as error:  # out of memory, a disk that went away, a fault of ours
        _log.info("%s", job.name, exc_info=True)
        if device.type == "cuda":
            torch.cuda.empty_cache()
        return f"{job.output}: {type(error).__name__}: {first_line(error)}; see it with -v"
    shutil.rmtree(job.output / "last", ignore_errors=True)
    return None


def run_side_by_side(jobs: Sequence[Job], devices: Sequence[torch.device], ended: Outcome) -> None:
    """Train as many jobs at a time as there are `devices` (one may be named several times).

    Cores are shared out evenly. When this ends early, by an interrupt say, the others are stopped;
    what they saved stays.
    """
    context = multiprocessing.get_context("spawn")
    threads = max(1, cores_here() // max(1, min(len(devices), len(jobs))))
    waiting, free = deque(jobs), deque(devices)
    running: dict[int, _Running] = {}
    try:
        while waiting or running:
            while waiting and free:
                job, device = waiting.popleft(), free.popleft()
                ours, theirs = context.Pipe(duplex=False)
                # A daemon, so that an interrupt between here and `running` leaves none behind.
                process = context.Process(
                    target=_in_child, args=(job, device, threads, theirs), daemon=True
                )
                process.start()
                theirs.close()  # so that the end of the child is the end of the pipe
                running[process.sentinel] = _Running(job, device, process, ours)
            for sentinel in wait(list(running)):
                one = running.pop(sentinel)  # type: ignore[arg-type]
                free.append(one.device)
                ended(one.job, one.outcome())
    finally:
        for one in running.values():
            one.process.terminate()
        for one in running.values():
            one.process.join()


@dataclass(frozen=True)
class _Running:
    job: Job
    device: torch.device
    process: SpawnProcess
    answer: Connection

    def outcome(self) -> str | None:
        """What the ended process said, or how it ended."""
        self.process.join()
        with self.answer, contextlib.suppress(EOFError, OSError):
            said: str | None = self.answer.recv()
            return said
        return (
            f"{self.job.output}: its process ended with code {self.process.exitcode}; see the "
            "messages above, then run it again"
        )


def _in_child(job: Job, device: torch.device, threads: int, answer: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which stops us
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    answer.send(run_here(job, device, UNWATCHED))


def _end_with_parent() -> None:
    """Leave no training behind that nobody waits for; what it saved stays."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)

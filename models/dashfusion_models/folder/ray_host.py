"""What lives on a node of a cluster: one worker process, and the actor that speaks for it.

The worker is the same program as on one machine, so it has the same threads, and dies or hangs
without its actor, which is always there to be asked to end it. Nothing of Ray is imported here.
"""

from __future__ import annotations

import contextlib
import os
import queue
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashfusion_models.folder.crew import Gone, News
from dashfusion_models.folder.jobs import Job
from dashfusion_models.folder.process import WorkerProcess
from dashfusion_models.folder.worker import Broken, Sign

__all__ = ["Lost", "RayHost"]


@dataclass(frozen=True)
class Lost:
    """The worker process has ended; `ending` says how."""

    ending: str


class RayHost:
    """An actor with a worker process of its own; what it returns is that process's answer."""

    def __init__(self, environment: Mapping[str, str], *, folder: str, loud: bool) -> None:
        """Start nothing yet; work in `folder`, where this node has it."""
        with contextlib.suppress(OSError):  # relative names are looked up as by the driver
            os.chdir(folder)
        self._environment, self._loud = dict(environment), loud
        self._news: News = queue.SimpleQueue()
        self._process: WorkerProcess | None = None

    def here(self) -> bool:
        """Answer: the actor has found its place."""
        return True

    def start(self, task: Any) -> Any:
        """Start the process and have it load `task`: `Ready`, or `Broken`, or `Lost`."""
        try:
            self._process = WorkerProcess(
                task, self._news, environment=self._environment, loud=self._loud
            )
        except OSError as error:
            return Broken(None, f"no process can be started: {error.strerror or error}")
        return self._answer(self._process)

    def work(self, job: Job, started: Any) -> Any:
        """Have one job done after the start, whose answer is given: `Answer`, `Broken`, `Lost`."""
        if self._process is None:
            return started
        self._process.send(job)
        return self._answer(self._process)

    def end(self) -> None:
        """End the process and all it started; may be called in the middle of work."""
        if self._process is not None:
            self._process.kill()

    def _answer(self, process: WorkerProcess) -> Any:
        said: Any = Sign(0.0)
        while isinstance(said, Sign):  # nobody can hear it before the answer
            _, said = self._news.get()
        return Lost(process.bury()) if isinstance(said, Gone) else said

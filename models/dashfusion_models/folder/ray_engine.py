"""The engine of a cluster: the same crew, its workers on the nodes of a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dashfusion_models.errors import FolderError
from dashfusion_models.folder.crew import Crew, Gone, News, Up
from dashfusion_models.folder.engine import Attempts
from dashfusion_models.folder.jobs import Job, Outcome, Stop, Task
from dashfusion_models.folder.limits import GPU_SHARE, TimeLimit, thread_environment
from dashfusion_models.folder.ray_cluster import Cluster, Node, Room
from dashfusion_models.folder.ray_host import Lost, RayHost
from dashfusion_models.folder.shared_storage import check_nodes
from dashfusion_models.privacy import SWITCHES

__all__ = ["RayEngine", "shared_out"]

_PASSED_ON = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "DASHFUSION_OFFLINE")


@dataclass
class RayEngine:
    """Workers on the nodes of `cluster`; on a cluster of this machine's own where that is None.

    `room` is what one worker takes; its cores are its threads. The engine closes the cluster.
    """

    task: Task
    workers: int
    limit: TimeLimit = field(default_factory=TimeLimit)
    room: Room = field(default_factory=Room)
    loud: bool = False
    cluster: Cluster | None = None

    @classmethod
    def on(
        cls,
        cluster: Cluster,
        task: Task,
        *,
        media: Path,
        results: Path,
        share: Callable[[Sequence[Node]], tuple[int, Room]],
        **how: Any,
    ) -> RayEngine:
        """Use a cluster whose nodes all see both folders, as `share` says; else close it.

        Raises:
            FolderError: a node does not see them, or cannot work, or none has room.
        """
        try:
            check_nodes(cluster.ask_all, media=media, results=results)
            workers, room = share(cluster.nodes())
        except BaseException:
            cluster.close()
            raise
        return cls(task, workers=workers, room=room, cluster=cluster, **how)

    def run(self, jobs: Iterator[Job], stop: Stop) -> Generator[Outcome, None, None]:
        """Do the jobs; see `Engine`. The cluster is left, or ended, whatever happens."""
        cluster = self.cluster or Cluster.start(cores=self.workers, loud=self.loud)
        environment = self._environment(is_own=cluster.is_own)

        def start(news: News) -> _RayWorker:
            return _RayWorker(cluster, self, news, environment)

        crew = Crew(
            start,
            jobs,
            stop,
            workers=self.workers,
            limit=self.limit,
            failed_starts=3 * self.workers,  # a node takes all its workers with it
        )
        try:
            yield from crew.outcomes()
        finally:
            try:
                crew.kill()
            finally:
                self.cluster = None
                cluster.close()

    def _environment(self, *, is_own: bool) -> dict[str, str]:
        if is_own:  # all else comes from this process
            return thread_environment(self.workers)
        passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return {**thread_environment(1, cores=self.room.cores), **SWITCHES, **passed_on}


def shared_out(
    nodes: Sequence[Node], *, worker_bytes: int, device: str, most: int | None
) -> tuple[int, Room]:
    """How many workers a cluster carries, `most` at most, and what each takes of its node.

    GPUs are used where `device` asks for them, or where it is `auto` and every node has some.

    Raises:
        FolderError: no node can carry one.
    """
    able = [node for node in nodes if node.cores]
    has_gpus = bool(able) and all(node.gpus for node in able)
    gpus = GPU_SHARE if device.startswith("cuda") or (device == "auto" and has_gpus) else 0.0

    def carried(cores: int) -> int:
        return sum(
            min(
                node.cores // cores,
                node.memory_bytes // worker_bytes,
                int(node.gpus / gpus) if gpus else node.cores,
            )
            for node in able
        )

    workers = min(carried(1), most or carried(1))
    if not workers:
        raise FolderError(
            f"ray: no node has room for a worker (a core, {worker_bytes / (1 << 30):.1f} GB"
            f"{', a GPU' if gpus else ''}); see what the nodes were started with"
        )
    cores = max(1, sum(node.cores for node in able) // workers)
    while carried(cores) < workers:
        cores -= 1
    return workers, Room(cores, worker_bytes, gpus)


class _RayWorker:
    """A worker on a node, seen from the driver."""

    def __init__(
        self, cluster: Cluster, engine: RayEngine, news: News, environment: dict[str, str]
    ) -> None:
        self.is_up = False
        self._cluster, self._news = cluster, news
        self._ending = ""
        room = Room() if cluster.is_own else engine.room
        self._actor = cluster.hire(RayHost, room, environment, folder=os.getcwd(), loud=engine.loud)
        cluster.hear(self._actor.here.remote(), self._come_up)
        self._started = self._actor.start.remote(Attempts(engine.task))
        cluster.hear(self._started, self._take)

    def send(self, job: Job) -> None:
        """Give it a job, by paths that hold from any folder."""
        words = os.path.abspath(job.transcript) if job.transcript else None
        there = replace(job, file=os.path.abspath(job.file), transcript=words)
        self._cluster.hear(self._actor.work.remote(there, self._started), self._take)

    def kill(self) -> None:
        """End it: its process by the actor, then the actor."""
        self._cluster.dismiss(self._actor)

    def bury(self) -> str:
        """Say in words how it ended; end the actor too."""
        self.kill()
        return self._ending

    def leave(self) -> None:
        """End it; it has nothing to do."""
        self.kill()

    def _come_up(self, said: Any) -> None:
        if said is True:
            self.is_up = True
            self._news.put((self, Up()))

    def _take(self, said: Any) -> None:
        """Pass on what the actor returned."""
        if isinstance(said, Lost):
            self._ending, said = said.ending, Gone()
        self._news.put((self, said))

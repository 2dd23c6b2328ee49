"""The engine of one machine: worker processes that are replaced when they die or hang."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field

from dashfusion_models.folder.crew import Crew, News
from dashfusion_models.folder.engine import Attempts
from dashfusion_models.folder.jobs import Job, Outcome, Stop, Task
from dashfusion_models.folder.limits import TimeLimit, thread_environment
from dashfusion_models.folder.process import WorkerProcess

__all__ = ["LocalEngine"]


@dataclass
class LocalEngine:
    """`workers` processes, each with its share of the cores and with `task` loaded once.

    A file may take as long as `limit` says. `environment` has variables for the processes; `loud`
    shows what they print.
    """

    task: Task
    workers: int
    limit: TimeLimit = field(default_factory=TimeLimit)
    environment: Mapping[str, str] = field(default_factory=dict)
    loud: bool = False

    def run(self, jobs: Iterator[Job], stop: Stop) -> Generator[Outcome, None, None]:
        """Do the jobs; see `Engine`."""
        crew = Crew(self._start, jobs, stop, workers=self.workers, limit=self.limit)
        try:
            yield from crew.outcomes()
            crew.leave()
        finally:
            crew.kill()

    def _start(self, news: News) -> WorkerProcess:
        settings = {**thread_environment(self.workers), **self.environment}
        return WorkerProcess(Attempts(self.task), news, environment=settings, loud=self.loud)

"""The workers of one run: fed with jobs, listened to, replaced when they die or hang.

Where a worker is (a process of this machine, one on a node of a cluster) is its own affair.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from dashfusion_models.errors import FolderError
from dashfusion_models.folder.engine import TRIES, raised
from dashfusion_models.folder.jobs import Job, Outcome, Stop, failed
from dashfusion_models.folder.limits import TimeLimit
from dashfusion_models.folder.worker import Answer, Broken, Ready, Sign

__all__ = ["Crew", "Gone", "News", "Up", "Worker"]

_LOOK_EVERY_S = 0.5
_ROOM_S = 180.0  # that a worker may wait for room on a cluster before its file goes to another
_REST_S = 60.0  # until room is asked for again


@runtime_checkable
class Worker(Protocol):
    """One worker seen from its parent, which was told what to load when it was made.

    Its news are `Up` (if it was not at once), `Ready`, `Sign` (if it tells how far it is),
    `Answer`, `Broken` and, at last, `Gone`.
    """

    is_up: bool  # whether it runs; until then it waits for room

    def send(self, thing: Any) -> None:
        """Give it a job; whether it is there still is told by its news."""

    def kill(self) -> None:
        """End it and all it started, now."""

    def bury(self) -> str:
        """Say in words how it ended, it has; end what it started."""

    def leave(self) -> None:
        """Let it end, it has nothing to do."""


@dataclass(frozen=True)
class Up:
    """The worker has found room and begins to load."""


@dataclass(frozen=True)
class Gone:
    """The worker has ended; nothing more comes from it."""


News = queue.SimpleQueue[tuple[Worker, Any]]  # who says what


@dataclass
class _Place:
    """One of the workers, or what is to become one."""

    worker: Worker | None = None
    is_ready: bool = False
    job: Job | None = None
    since_s: float = 0.0
    sign: Sign | None = None  # the latest of the job, of a worker that gives any
    sign_s: float = 0.0  # when it came
    rests_until_s: float = 0.0


class Crew:
    """The workers of one run."""

    def __init__(
        self,
        start: Callable[[News], Worker],
        jobs: Iterator[Job],
        stop: Stop,
        *,
        workers: int,
        limit: TimeLimit,
        failed_starts: int = 3,
    ) -> None:
        """Start nobody yet; `failed_starts` one after the other end the run."""
        self._begin, self._jobs, self._stop, self._limit = start, jobs, stop, limit
        self._places = [_Place() for _ in range(workers)]
        self._news: News = queue.SimpleQueue()
        self._once_more: deque[Job] = deque()
        self._tries: dict[str, int] = {}
        self._failed_starts, self._most_failed_starts = 0, failed_starts
        self._heard_s = time.monotonic()

    def outcomes(self) -> Iterator[Outcome]:
        """Feed whoever is free and yield what comes back, until nobody has anything to do."""
        while self._feed():
            yield from self._hear()
            yield from self._overdue()

    def leave(self) -> None:
        """Let the workers end; they have nothing to do."""
        for place in self._places:
            if place.worker is not None:
                place.worker.leave()
                place.worker = None

    def kill(self) -> None:
        """End whoever is there still."""
        for place in self._places:
            if place.worker is not None:
                place.worker.kill()
                place.worker = None

    def _feed(self) -> bool:
        """Give everybody something to do; tell whether anybody has."""
        now = time.monotonic()
        for place in self._places:
            if place.job is None and place.rests_until_s <= now and not self._stop.asked:
                job = self._once_more.popleft() if self._once_more else next(self._jobs, None)
                if job is None:
                    break
                self._give(place, job)
        if self._once_more and not self._stop.asked:
            return True  # it waits for somebody who rests
        return any(place.job is not None for place in self._places)

    def _give(self, place: _Place, job: Job) -> None:
        if place.worker is None:
            place.worker, place.is_ready = self._start(), False
        place.job, place.since_s, place.sign = job, time.monotonic(), None
        place.worker.send(job)

    def _start(self) -> Worker:
        try:
            return self._begin(self._news)
        except OSError as error:
            raise FolderError(
                f"worker: cannot be started ({error.strerror or error}); use fewer --workers"
            ) from error

    def _hear(self) -> Iterator[Outcome]:
        """Wait a moment for news, and take in all there are."""
        timeout: float | None = _LOOK_EVERY_S
        while True:
            try:
                who, said = self._news.get(timeout=timeout)
            except queue.Empty:
                return
            timeout = 0.0
            place = next((place for place in self._places if place.worker is who), None)
            if place is not None:  # else it was replaced meanwhile
                yield from self._take(place, said)

    def _take(self, place: _Place, said: object) -> Iterator[Outcome]:
        self._heard_s = time.monotonic()
        match said:
            case Up():
                place.since_s = time.monotonic()
            case Ready():
                place.is_ready, place.since_s = True, time.monotonic()
                self._failed_starts = 0
            case Sign():
                place.sign, place.sign_s = said, time.monotonic()
            case Answer(value=Outcome() as outcome):
                place.job = None
                if outcome.kind == "memory":  # what it holds may be more than it needs
                    self._end(place)
                self._tries.pop(outcome.path, None)
                yield outcome
            case Broken(error=name, message=message):
                raise raised(name, message)
            case Gone():
                assert place.worker is not None
                ending, place.worker = place.worker.bury(), None
                yield from self._lost(place, "killed", f"the worker {ending}")

    def _overdue(self) -> Iterator[Outcome]:
        """Kill the workers that hang."""
        limit, now = self._limit, time.monotonic()
        for place in self._places:
            if place.job is None or place.worker is None:
                continue
            if not place.worker.is_up:
                if now - place.since_s > _ROOM_S:
                    self._rest(place)
                continue
            allowed_s = limit.of(place.job) if place.is_ready else limit.load_s
            if place.sign is not None:
                allowed_s = limit.so_far(place.job, place.sign.decoded_s)
                quiet_s = limit.quiet(place.job, place.sign.decoded_s)
                if now - place.sign_s > quiet_s:
                    self._end(place)
                    fact = f"gave no sign of progress for {quiet_s:.0f} s"
                    yield from self._lost(place, "timeout", fact)
                    continue
            if now - place.since_s > allowed_s:
                self._end(place)
                yield from self._lost(place, "timeout", f"took more than {allowed_s:.0f} s")

    def _rest(self, place: _Place) -> None:
        """Leave the file of a worker that finds no room to others, and ask for room later."""
        assert place.job is not None
        self._once_more.appendleft(place.job)
        place.job, place.rests_until_s = None, time.monotonic() + _REST_S
        self._end(place)
        waited_s = time.monotonic() - self._heard_s
        if waited_s > self._limit.load_s and all(place.worker is None for place in self._places):
            raise FolderError(
                f"worker: found no room on any node for {waited_s / 60:.0f} minutes; "
                "see to the cluster, and run again: it goes on where it stopped"
            )

    def _end(self, place: _Place) -> None:
        """Kill a worker; the next job starts another."""
        assert place.worker is not None
        place.worker.kill()
        place.worker = None

    def _lost(self, place: _Place, kind: str, fact: str) -> Iterator[Outcome]:
        """Try the file of a lost worker once more, or report it."""
        job, place.job = place.job, None
        if not place.is_ready:
            self._failed_starts += 1
            if self._failed_starts >= self._most_failed_starts:
                raise FolderError(
                    f"worker: {fact} {self._failed_starts} times while it was loading; "
                    "use fewer --workers, or run again with -v"
                )
        if job is None:
            return
        tries = self._tries.get(job.path, 0) + place.is_ready
        self._tries[job.path] = tries
        if tries < TRIES:
            self._once_more.append(job)
            return
        del self._tries[job.path]
        yield failed(job, kind, f"{job.path}: {fact}, {TRIES} times; {_WAYS_OUT[kind]}")


_WAYS_OUT = {
    "killed": "if memory ran out, use fewer --workers; the next run tries it again",
    "timeout": "the next run tries it again",
}

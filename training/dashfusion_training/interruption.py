"""A training that is stopped from outside: its processes leave at the same place."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dashfusion_models.folder import Stop
from dashfusion_models.records import Progress
from dashfusion_training.processes import Team

__all__ = ["Interrupted", "Interruption"]


class Interrupted(KeyboardInterrupt):
    """A training was asked to stop; the message says how far it is."""

    def __init__(self, message: str = "stopped before a step was done") -> None:
        super().__init__(message)


@dataclass(frozen=True)
class Interruption:
    """Whether a training is to stop: `stop` is what this process was asked, `team` knows all."""

    stop: Stop
    team: Team

    def check(self) -> None:
        """Leave if this process was asked to stop; only inside `leaving_together`.

        Raises:
            Interrupted: it was.
        """
        if self.stop.asked:
            raise Interrupted

    def check_all(self) -> None:
        """Leave if any process was asked to stop; all processes must call it at the same place.

        Raises:
            Interrupted: one was, in all processes.
        """
        if self.team.any(self.stop.asked):
            raise Interrupted

    @contextlib.contextmanager
    def leaving_together(self) -> Iterator[None]:
        """Let a process leave the block early by `check`; then all leave at its end.

        Without it the others would wait for the results of the one that left.

        Raises:
            Interrupted: any process was asked to stop, in all processes.
        """
        with contextlib.suppress(Interrupted):
            yield
        self.check_all()

    def checked(self, report: Callable[[Progress], None]) -> Callable[[Progress], None]:
        """Return `report` with a `check` after each event."""

        def report_and_check(event: Progress) -> None:
            report(event)
            self.check()

        return report_and_check

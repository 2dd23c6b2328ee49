"""Who looks on while a training goes: the command line's live table, or nobody."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ["UNWATCHED", "Unwatched", "Watcher"]


@runtime_checkable
class Watcher(Protocol):
    """Is told what happened, in order."""

    def begin(self, number: int, of: int, name: str) -> None:
        """The `number`th of several trainings begins."""
        ...

    def step(self, epoch: int, epochs: int, batch: int, batches: int, loss: float) -> None:
        """A batch of an epoch was learned."""
        ...

    def epoch(
        self,
        epoch: int,
        train_loss: float | None,
        valid_mae: float,
        valid_corr: float | None,
        best: bool,
    ) -> None:
        """An epoch was validated; `best` if it is the best so far.

        Epoch 0 is what the training goes on from, and has no loss.
        """
        ...


class Unwatched:
    """Looks at nothing; whoever looks at one thing only starts from here."""

    def begin(self, number: int, of: int, name: str) -> None:
        """Look away."""

    def step(self, epoch: int, epochs: int, batch: int, batches: int, loss: float) -> None:
        """Look away."""

    def epoch(
        self,
        epoch: int,
        train_loss: float | None,
        valid_mae: float,
        valid_corr: float | None,
        best: bool,
    ) -> None:
        """Look away."""


UNWATCHED: Watcher = Unwatched()

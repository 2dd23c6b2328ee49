"""How long the stages of an analysis took, and how much of that they waited for another."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Stages"]


class Stages:
    """Adds up seconds by the clock, from any thread; `waited_s` is a part of `spent_s`.

    What a stage waits for is another stage (pictures for the face engine) or a model that is still
    being loaded. Stages overlap, so they add up to more than the whole.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self.spent_s: dict[str, float] = {}
        self.waited_s: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what is done inside to a stage."""
        with self._counted(self.spent_s, name):
            yield

    @contextmanager
    def waiting(self, name: str) -> Iterator[None]:
        """Count what is done inside as a stage's waiting."""
        with self._counted(self.waited_s, name):
            yield

    @contextmanager
    def _counted(self, to: dict[str, float], name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                to[name] = to.get(name, 0.0) + time.perf_counter() - started

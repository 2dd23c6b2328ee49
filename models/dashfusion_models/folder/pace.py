"""How fast a folder is done, and how long the rest will take."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Pace"]

# A file costs some of its length and something for being a file: it is opened, and heard in a
# window of 30 s however short it is. Clips of CMU-MOSI on two cores of a server, two workers: 1.1 s
# and 0.12 s a second of media.
_FILE_COSTS_S = 9.0
_FIRST_GUESS = 6.0  # cost done in a second by one worker, before anything is measured
_START_S = 8.0  # until the models are loaded


@dataclass
class Pace:
    """Seconds of work and what was done in them; those of former runs count until there are new."""

    workers: int
    cost: float = 0.0
    seconds: float = 0.0

    @staticmethod
    def cost_of(files: int, media_s: float) -> float:
        """What files of some length in all cost."""
        return files * _FILE_COSTS_S + media_s

    def add(self, media_s: float, seconds: float) -> None:
        """Count one file that took `seconds` of one worker."""
        self.cost += self.cost_of(1, media_s)
        self.seconds += seconds

    def left_s(self, files: int, media_s: float, *, loaded: bool = True) -> float:
        """How long files of some length in all will take everybody, with loading if need be."""
        speed = self.cost / self.seconds if self.cost > 0 and self.seconds > 0 else _FIRST_GUESS
        work_s = self.cost_of(files, media_s) / speed / max(1, min(self.workers, files))
        return work_s if loaded else work_s + _START_S

"""Where a training is, how fast it goes and how long it will still take."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Course", "duration"]

STEPS_TIMED = 50


@dataclass
class Course:
    """Is told every step; `number` and `name` say which of several trainings this is."""

    clock: Callable[[], float]
    number: int = 1
    of: int = 1
    name: str = ""
    epoch: int = 0
    epochs: int = 0
    batch: int = 0
    batches: int = 0
    loss: float = 0.0
    steps: int = 0
    began_s: float = 0.0
    recent_s: deque[float] = field(default_factory=lambda: deque(maxlen=STEPS_TIMED))

    def __post_init__(self) -> None:
        """Start the clock."""
        self.began_s = self.clock()

    def begin(self, number: int, of: int, name: str) -> None:
        """Begin the next training; the pace so far still counts."""
        self.number, self.of, self.name = number, of, name
        self.epoch = self.batch = 0

    def step(self, epoch: int, epochs: int, batch: int, batches: int, loss: float) -> None:
        """Take one step."""
        now = self.clock()
        if not self.steps:
            self.began_s = now  # what came before it, a download say, tells nothing of the rest
        if epoch != self.epoch:
            self.recent_s.clear()  # a validation lies between
        self.epoch, self.epochs, self.batch, self.batches = epoch, epochs, batch, batches
        self.loss = loss
        self.steps += 1
        self.recent_s.append(now)

    @property
    def steps_per_second(self) -> float | None:
        """Of the last steps; None while unknown."""
        if len(self.recent_s) < 2 or self.recent_s[-1] <= self.recent_s[0]:
            return None
        return (len(self.recent_s) - 1) / (self.recent_s[-1] - self.recent_s[0])

    @property
    def left_s(self) -> float | None:
        """Of all trainings, at the pace so far, validations included; None while unknown."""
        spent = self.clock() - self.began_s
        if self.steps < 2 or spent <= 0:
            return None
        others = (self.of - self.number) * self.epochs * self.batches
        steps = others + (self.epochs - self.epoch) * self.batches + self.batches - self.batch
        return steps * spent / (self.steps - 1)

    def title(self) -> str:
        """Which of several trainings this is."""
        return f"{self.name} ({self.number} of {self.of})" if self.name else ""

    def pace(self) -> list[str]:
        """Speed and time left, as far as they are known."""
        speed, left = self.steps_per_second, self.left_s
        facts = []
        if speed is not None:
            facts.append(f"{speed:.1f} steps/s" if speed >= 1 else f"{1 / speed:.1f} s a step")
        return facts if left is None else [*facts, f"{duration(left)} left"]


def duration(seconds: float) -> str:
    """Write 75 seconds as 1:15, and two hours as 2:00:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

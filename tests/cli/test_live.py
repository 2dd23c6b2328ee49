"""The view of a training: what it draws, when it speaks, and how long it says that it takes."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from rich.console import Console

from dashfusion_cli.course import Course, duration
from dashfusion_cli.live import training_view
from dashfusion_cli.session import Session
from dashfusion_training.watch import Watcher

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def learn(view: Watcher, clock: Clock, *, epochs: int, maes: list[float]) -> None:
    """Ten steps of two seconds an epoch, then four seconds of validation."""
    best = min(maes) + 1
    for epoch, mae in enumerate(maes, start=1):
        for batch in range(1, 11):
            clock.now += 2.0
            view.step(epoch, epochs, batch, 10, 0.5)
        clock.now += 4.0
        view.epoch(epoch, 1.0 / epoch, mae, None if epoch == 1 else 0.7, mae <= best)
        best = min(best, mae)


@contextmanager
def terminal(clock: Clock, **look: object) -> Iterator[tuple[Watcher, Console, io.StringIO]]:
    out = io.StringIO()
    console = Console(
        file=out, force_terminal=True, color_system=None, width=90, height=30, **look  # type: ignore[arg-type]
    )  # fmt: skip
    with training_view(Session(), console=console, clock=clock) as view:
        yield view, console, out


def drawn(console: Console, view: Watcher) -> list[str]:
    with console.capture() as caught:
        console.print(view.render())  # type: ignore[attr-defined]
    return [line.rstrip() for line in ESCAPES.sub("", caught.get()).splitlines()]


def test_the_table_shows_the_last_epochs_and_the_best() -> None:
    clock = Clock()
    with terminal(clock) as (view, console, _):
        learn(view, clock, epochs=20, maes=[0.9, 0.8, 0.6, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7])
        view.step(12, 20, 1, 10, 0.25)
        lines = drawn(console, view)
    assert lines[0].split() == ["epoch", "loss", "valid", "MAE", "Corr"]
    rows = [line.split() for line in lines[1:9]]
    assert [row[0] for row in rows] == ["3", "5", "6", "7", "8", "9", "10", "11"]
    assert rows[0] == ["3", "0.3333", "0.6000", "0.700", "best"]
    assert all("best" not in row for row in rows[1:])
    assert lines[9] == "  valid MAE █▆▁▃▃▃▃▃▃▃▃ 0.6000 to 0.9000"
    assert lines[10].startswith("  epoch 12 of 20 ")
    assert "1 of 10, loss 0.250" in lines[10]


def test_the_bar_tells_the_pace_and_the_time_left_for_all() -> None:
    clock = Clock()
    with terminal(clock) as (view, console, _):
        view.begin(1, 2, "seed 1111")
        learn(view, clock, epochs=4, maes=[0.9, 0.8])
        view.step(3, 4, 1, 10, 0.5)
        clock.now += 2.0
        view.step(3, 4, 2, 10, 0.5)
        lines = drawn(console, view)
    # 22 steps in 48 s after the first; 58 steps are left of 2 seeds x 4 epochs x 10
    assert "2 of 10, loss 0.500, 2.0 s a step, 2:" in lines[-1]
    assert f"{duration(58 * 48 / 21)} left" in lines[-1]
    assert lines[0] == "  seed 1111 (1 of 2)"


def test_at_the_end_the_table_stays_and_the_bar_goes() -> None:
    clock = Clock()
    with terminal(clock) as (view, _, out):
        view.begin(1, 2, "seed 1111")
        learn(view, clock, epochs=2, maes=[0.9, 0.8])
        view.begin(2, 2, "seed 1112")
        learn(view, clock, epochs=2, maes=[0.7, 0.75])
    text = ESCAPES.sub("", out.getvalue())
    assert "seed 1111 (1 of 2): best epoch 2, valid MAE 0.8000, Corr 0.700" in text
    last = text.rsplit("seed 1112 (2 of 2)", 1)[1]
    assert "epoch loss valid MAE Corr 1 1.0000 0.7000 - best 2 0.5000" in " ".join(last.split())
    assert " of 10" not in last


def test_a_failing_training_leaves_the_terminal_in_order() -> None:
    clock, out = Clock(), io.StringIO()
    console = Console(file=out, force_terminal=True, width=90)
    with (
        pytest.raises(ValueError, match="gone"),
        training_view(Session(), console=console, clock=clock) as view,
    ):
        learn(view, clock, epochs=2, maes=[0.9])
        raise ValueError("gone")
    assert out.getvalue().count("\x1b[?25l") == out.getvalue().count("\x1b[?25h") == 1


@pytest.mark.parametrize(("width", "height"), [(40, 8), (60, 12), (200, 60)])
def test_small_terminals_are_not_overrun(width: int, height: int) -> None:
    clock, out = Clock(), io.StringIO()
    console = Console(
        file=out, force_terminal=True, color_system=None, width=width, height=height
    )  # fmt: skip
    with training_view(Session(), console=console, clock=clock) as view:
        view.begin(1, 5, "seed 1111")
        learn(view, clock, epochs=60, maes=[1.0 - k / 100 for k in range(50)])
        view.step(51, 60, 3, 10, 0.5)
        lines = drawn(console, view)
    assert len(lines) < height
    assert max(map(len, lines)) <= width


def test_elsewhere_it_is_a_line_every_ten_seconds_and_one_an_epoch() -> None:
    clock, out = Clock(), io.StringIO()
    console = Console(file=out, force_terminal=False)
    with training_view(Session(), console=console, clock=clock) as view:
        view.begin(2, 2, "seed 1112")
        learn(view, clock, epochs=2, maes=[0.9, 0.8])
    assert out.getvalue().splitlines() == [
        "seed 1112 (2 of 2): epoch 1 of 2, step 5 of 10, loss 0.5000, 2.0 s a step, 0:30 left",
        "seed 1112 (2 of 2): epoch 1 of 2, step 10 of 10, loss 0.5000, 2.0 s a step, 0:20 left",
        "seed 1112 (2 of 2): epoch 1 of 2 done, loss 1.0000, valid MAE 0.9000, Corr -, best",
        "seed 1112 (2 of 2): epoch 2 of 2, step 5 of 10, loss 0.5000, 2.0 s a step, 0:11 left",
        "seed 1112 (2 of 2): epoch 2 of 2, step 10 of 10, loss 0.5000, 2.0 s a step, 0:00 left",
        "seed 1112 (2 of 2): epoch 2 of 2 done, loss 0.5000, valid MAE 0.8000, Corr 0.700, best",
    ]
    assert "\x1b" not in out.getvalue()


def test_without_seeds_no_seed_is_named() -> None:
    clock, out = Clock(), io.StringIO()
    console = Console(file=out, force_terminal=False)
    with training_view(Session(), console=console, clock=clock) as view:
        view.epoch(3, 0.5, 0.8, 0.7, False)  # resumed just before the end of an epoch
    assert out.getvalue() == "epoch 3 done, loss 0.5000, valid MAE 0.8000, Corr 0.700\n"


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True)
    for place in (console, None):
        with training_view(Session(quiet=True), console=place) as view:
            view.begin(1, 1, "seed 1111")
            learn(view, Clock(), epochs=1, maes=[1.0])
    assert (out.getvalue(), *capsys.readouterr()) == ("", "", "")


def test_a_terminal_of_few_letters_gets_them() -> None:
    clock = Clock()
    console = Console(
        file=io.TextIOWrapper(io.BytesIO(), encoding="ascii"), force_terminal=True, width=90
    )
    with training_view(Session(), console=console, clock=clock) as view:
        learn(view, clock, epochs=3, maes=[0.9, 0.8])
        assert "  valid MAE #_ 0.8000 to 0.9000" in drawn(console, view)


def test_the_pace_is_unknown_at_first() -> None:
    clock = Clock()
    course = Course(clock)
    assert course.pace() == []
    course.step(1, 2, 1, 10, 0.5)
    assert course.pace() == []
    clock.now += 0.25
    course.step(1, 2, 2, 10, 0.5)
    assert course.pace() == ["4.0 steps/s", "0:04 left"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (75, "1:15"), (3600, "1:00:00"), (360000.0, "100:00:00")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text

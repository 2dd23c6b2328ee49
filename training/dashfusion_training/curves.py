"""The curves of a training as a picture: loss, validation MAE and Corr over the epochs.

Read from a run's log.jsonl, written as SVG with its text as text; the same log gives the same
bytes. A log may hold an epoch or a step twice, from a training that was stopped and went on: the
last one counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dashfusion_training.pictures import BLUE, GREEN, GREY, ORANGE, write_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["write_curves", "write_curves_of_seeds"]

LOSS, MAE, CORR, BEST = BLUE, ORANGE, GREEN, GREY
INCHES = (6.4, 6.6)

Points = tuple[list[float], list[float]]


@dataclass(frozen=True)
class _Epoch:
    number: int
    step: int
    train_loss: float | None
    valid_mae: float | None
    valid_corr: float | None


@dataclass(frozen=True)
class _History:
    """What a log says: each epoch once, the losses of some steps, the best epoch."""

    epochs: list[_Epoch]
    steps: dict[int, float]
    best: int | None

    def line(self, value: Callable[[_Epoch], float | None]) -> Points:
        """The epochs that have a value, and these values."""
        points = [(float(e.number), y) for e in self.epochs if (y := value(e)) is not None]
        return [x for x, _ in points], [y for _, y in points]

    @property
    def best_mae(self) -> float | None:
        """The validation MAE of the best epoch, if the log has it."""
        return next((e.valid_mae for e in self.epochs if e.number == self.best), None)

    def step_line(self) -> Points:
        """Steps as parts of epochs, and their losses."""
        last = self.epochs[-1]
        of_epoch = max(1.0, last.step / max(1, last.number))
        steps = sorted(self.steps)
        return [step / of_epoch for step in steps], [self.steps[step] for step in steps]


def write_curves(log: Path, output: Path) -> None:
    """Draw one training; nothing is written before its first epoch is done.

    The file is written whole or not at all.
    """
    history = _read(log)
    if history.epochs:
        _write(output, lambda panels: _draw_one(history, panels))


def write_curves_of_seeds(runs: Mapping[int, Path], output: Path) -> None:
    """Draw several trainings, by their seeds: each as a thin line, and their mean as a thick one.

    `runs` are the folders of the trainings. The mean reaches as far as all of them do.
    """
    histories = {seed: _read(folder / "log.jsonl") for seed, folder in runs.items()}
    begun = {seed: history for seed, history in histories.items() if history.epochs}
    if begun:
        _write(output, lambda panels: _draw_seeds(begun, panels))


def _read(log: Path) -> _History:
    """Read a log, past a last line that was cut off; one that is not there is empty."""
    epochs: dict[int, _Epoch] = {}
    steps: dict[int, float] = {}
    best = None
    for line in log.read_text("utf-8").splitlines() if log.is_file() else []:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("kind") == "epoch":
            # An epoch done again makes what followed it then void.
            epochs = {n: e for n, e in epochs.items() if n < entry["epoch"]}
            epochs[entry["epoch"]] = _epoch(entry)
            best = entry.get("best_epoch")
        elif entry.get("kind") == "step" and _number(entry["loss"]) is not None:
            steps[entry["step"]] = entry["loss"]
    return _History([epochs[n] for n in sorted(epochs)], steps, best)


def _epoch(entry: Mapping[str, Any]) -> _Epoch:
    found = [_number(metrics.get("corr")) for metrics in entry.get("valid", {}).values()]
    corrs = [corr for corr in found if corr is not None]
    return _Epoch(
        number=entry["epoch"],
        step=entry["step"],
        train_loss=_number(entry.get("train_loss")),
        valid_mae=_number(entry.get("valid_mae")),
        valid_corr=sum(corrs) / len(corrs) if corrs else None,
    )


def _number(value: float | None) -> float | None:
    """A finite number, or None."""
    return value if value is not None and abs(value) < float("inf") else None


_LINES: dict[str, tuple[str, Callable[[_Epoch], float | None]]] = {
    "train_loss": (LOSS, lambda epoch: epoch.train_loss),
    "valid_mae": (MAE, lambda epoch: epoch.valid_mae),
    "valid_corr": (CORR, lambda epoch: epoch.valid_corr),
}


def _draw_one(history: _History, panels: Mapping[str, Axes]) -> None:
    loss = panels["train_loss"]
    loss.plot(
        *history.step_line(), color=LOSS, linewidth=0.7, alpha=0.35, label="steps", gid="step_loss"
    )
    for name, (color, value) in _LINES.items():
        label = "epoch means" if name == "train_loss" else None
        points = history.line(value)
        panels[name].plot(*points, color=color, marker=".", markersize=4, label=label, gid=name)
        if history.best is not None:
            panels[name].axvline(
                history.best, color=BEST, linewidth=0.9, linestyle="--", zorder=1, gid="best_epoch"
            )
    loss.legend(loc="upper right")
    least = history.best_mae
    if least is not None:
        name = f"best: epoch {history.best}, MAE {least:.3f}"
        _mark_best(history, panels["valid_mae"], label=name)
        panels["valid_mae"].legend(loc="upper right")


def _draw_seeds(histories: Mapping[int, _History], panels: Mapping[str, Axes]) -> None:
    from matplotlib.lines import Line2D

    for name, (color, value) in _LINES.items():
        for seed, history in sorted(histories.items()):
            points = history.line(value)
            panels[name].plot(*points, color=color, linewidth=0.7, alpha=0.45, gid=f"{name}_{seed}")
        mean = _mean_line([history.line(value) for _, history in sorted(histories.items())])
        panels[name].plot(*mean, color=color, linewidth=2.0, gid=f"{name}_mean")
    for _, history in sorted(histories.items()):
        _mark_best(history, panels["valid_mae"])
    seeds = ", ".join(map(str, sorted(histories)))
    panels["train_loss"].legend(
        [Line2D([], [], color=LOSS, linewidth=0.7), Line2D([], [], color=LOSS, linewidth=2.0)],
        [f"seeds {seeds}", "mean"],
        loc="upper right",
    )
    best = Line2D([], [], color=BEST, marker="D", linestyle="", markersize=4)
    panels["valid_mae"].legend([best], ["best epoch of a seed"], loc="upper right")


def _mark_best(history: _History, panel: Axes, label: str | None = None) -> None:
    if history.best is not None and history.best_mae is not None:
        at = ([history.best], [history.best_mae])
        panel.plot(*at, "D", color=BEST, markersize=4, label=label, gid="best")


def _mean_line(lines: Sequence[Points]) -> Points:
    """The mean of several lines where all of them have a point."""
    found = [dict(zip(*line, strict=True)) for line in lines]
    shared = sorted(set(found[0]).intersection(*found[1:]))
    return shared, [sum(line[x] for line in found) / len(found) for x in shared]


def _write(output: Path, draw: Callable[[Mapping[str, Axes]], None]) -> None:
    """Draw three panels above each other and write them, whole or not at all."""

    def on(figure: Figure) -> None:
        from matplotlib.ticker import MaxNLocator

        panels = dict(zip(_LINES, figure.subplots(3, 1, sharex=True), strict=True))
        panels["train_loss"].set_ylabel("training loss")
        panels["valid_mae"].set_ylabel("validation MAE")
        panels["valid_corr"].set_ylabel("validation Corr")
        panels["valid_corr"].set_xlabel("epoch")
        panels["valid_corr"].xaxis.set_major_locator(MaxNLocator(integer=True))
        draw(panels)
        figure.align_ylabels()

    write_picture(output, INCHES, on)

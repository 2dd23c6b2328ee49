"""The picture shows what the log says, each epoch once, and is the same file every time."""

import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest

from dashfusion_models.errors import TrainingError
from dashfusion_training.curves import write_curves, write_curves_of_seeds

SVG = "{http://www.w3.org/2000/svg}"
MAES = [0.9, 0.7, 0.5, 0.6]


def epoch_line(
    epoch: int, mae: float, *, best: int | None = None, **changes: Any
) -> dict[str, Any]:
    corrs = {"one": {"corr": 1 - mae}, "two": {"corr": 1 - mae - 0.1}, "three": {"corr": None}}
    line = {
        "time": "2030-01-01T00:00:00", "kind": "epoch", "epoch": epoch, "step": 100 * epoch,
        "train_loss": 2 * mae, "valid_mae": mae, "valid": corrs, "best_epoch": best,
    }  # fmt: skip
    return {**line, **changes}


def step_line(step: int, loss: float) -> dict[str, Any]:
    return {"kind": "step", "epoch": 1 + (step - 1) // 100, "step": step, "loss": loss}


def write_log(path: Path, lines: list[dict[str, Any]], tail: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + tail, "utf-8")
    return path


def a_training(maes: list[float] = MAES) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = [{"kind": "start", "environment": {}}]
    for epoch, mae in enumerate(maes, start=1):
        lines += [step_line(100 * epoch - 50, 3 * mae), step_line(100 * epoch, 2 * mae)]
        best = int(np.argmin(maes[:epoch])) + 1
        lines.append(epoch_line(epoch, mae, best=best))
    return lines


def points(svg: Path, name: str) -> np.ndarray:
    """The corners of a drawn line, y upwards."""
    (group,) = (g for g in ElementTree.parse(svg).iter(f"{SVG}g") if g.get("id") == name)
    path = group.find(f"{SVG}path")
    assert path is not None
    numbers = path.get("d", "").replace("M", " ").replace("L", " ").split()
    corners = np.array(numbers, np.float64).reshape(-1, 2)
    return corners * [1, -1]


def texts(svg: Path) -> list[str]:
    return [element.text or "" for element in ElementTree.parse(svg).iter(f"{SVG}text")]


def is_affine(drawn: np.ndarray, values: list[float]) -> bool:
    """Whether what was drawn is the values, moved and stretched upwards."""
    slope, start = np.polyfit(values, drawn, 1)
    return bool(slope > 0 and np.allclose(slope * np.array(values) + start, drawn, atol=1e-3))


def test_the_lines_are_those_of_the_log(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl", a_training())
    write_curves(log, tmp_path / "curves.svg")
    svg = tmp_path / "curves.svg"
    assert is_affine(points(svg, "train_loss")[:, 1], [2 * mae for mae in MAES])
    assert is_affine(points(svg, "valid_mae")[:, 1], MAES)
    assert is_affine(points(svg, "valid_corr")[:, 1], [0.95 - mae for mae in MAES])
    assert is_affine(points(svg, "valid_mae")[:, 0], [1, 2, 3, 4])
    steps = points(svg, "step_loss")
    losses = [factor * mae for mae in MAES for factor in (3, 2)]
    assert is_affine(steps[:, 1], losses)
    assert is_affine(steps[:, 0], [k / 2 for k in range(1, 9)])
    # one scale: the last step lies where the last epoch does
    assert steps[-1] == pytest.approx(points(svg, "train_loss")[-1], abs=1e-3)


def test_the_best_epoch_is_marked_and_text_is_text(tmp_path: Path) -> None:
    svg = tmp_path / "curves.svg"
    write_curves(write_log(tmp_path / "log.jsonl", a_training()), svg)
    assert {"training loss", "validation MAE", "validation Corr", "epoch"} <= set(texts(svg))
    assert "best: epoch 3, MAE 0.500" in texts(svg)
    assert points(svg, "valid_mae")[2, 0] == pytest.approx(points_of_best(svg), abs=1e-3)


def points_of_best(svg: Path) -> float:
    groups = [g for g in ElementTree.parse(svg).iter(f"{SVG}g") if g.get("id") == "best"]
    (use,) = groups[0].iter(f"{SVG}use")
    return float(use.get("x", "nan"))


def test_the_bytes_are_the_same_whatever_the_settings_of_matplotlib(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl", a_training())
    write_curves(log, tmp_path / "one.svg")
    before = dict(mpl.rcParams)
    with mpl.rc_context({"lines.linewidth": 9, "svg.fonttype": "path", "figure.dpi": 33}):
        write_curves(log, tmp_path / "two.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert dict(mpl.rcParams) == before
    assert b"2030" not in (tmp_path / "one.svg").read_bytes()


def test_nothing_global_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # to import it is an error
    write_curves(write_log(tmp_path / "log.jsonl", a_training()), tmp_path / "curves.svg")
    assert (tmp_path / "curves.svg").exists()


def test_a_resumed_training_counts_each_epoch_once(tmp_path: Path) -> None:
    """Stopped in epoch 4 after a saved state in epoch 3, and killed in the middle of a line."""
    whole = a_training()
    write_curves(write_log(tmp_path / "whole.jsonl", whole), tmp_path / "whole.svg")
    wrong = [
        step_line(350, 7.0),
        epoch_line(3, 5.0, best=3),
        epoch_line(4, 4.0, best=4),
    ]
    before = [line for line in whole if line.get("step", 0) <= 200]
    after = [line for line in whole if line.get("step", 0) > 200]
    log = write_log(tmp_path / "resumed.jsonl", [*before, *wrong, *after], '{"kind": "epo')
    write_curves(log, tmp_path / "resumed.svg")
    assert (tmp_path / "resumed.svg").read_bytes() == (tmp_path / "whole.svg").read_bytes()


def test_an_epoch_that_the_log_lacks_and_values_that_are_none_are_left_out(tmp_path: Path) -> None:
    lines = [epoch_line(1, 0.9), epoch_line(3, 0.7), epoch_line(4, 0.6), epoch_line(5, 0.8)]
    lines[2]["valid"] = {"one": {"corr": None}}
    lines[3]["train_loss"] = float("nan")
    write_curves(write_log(tmp_path / "log.jsonl", lines), tmp_path / "curves.svg")
    svg = tmp_path / "curves.svg"
    assert is_affine(points(svg, "valid_mae")[:, 0], [1, 3, 4, 5])
    assert len(points(svg, "valid_corr")) == 3
    assert len(points(svg, "train_loss")) == 3
    assert not any(text.startswith("best") for text in texts(svg))  # none was kept yet


@pytest.mark.parametrize("lines", [[], [{"kind": "start"}], [step_line(50, 1.0)]])
def test_nothing_to_draw_is_no_file_and_no_error(
    tmp_path: Path, lines: list[dict[str, Any]]
) -> None:
    write_curves(write_log(tmp_path / "log.jsonl", lines), tmp_path / "curves.svg")
    write_curves(tmp_path / "none.jsonl", tmp_path / "curves.svg")
    write_curves_of_seeds({1111: tmp_path}, tmp_path / "curves.svg")
    write_curves_of_seeds({}, tmp_path / "curves.svg")
    assert not (tmp_path / "curves.svg").exists()


def test_seeds_are_thin_lines_and_their_mean(tmp_path: Path) -> None:
    runs = {1111: MAES, 1112: [0.7, 0.6, 0.4], 1113: [0.8, 0.8, 0.3, 0.2, 0.1]}
    for seed, maes in runs.items():
        write_log(tmp_path / f"seed-{seed}" / "log.jsonl", a_training(maes))
    folders = {seed: tmp_path / f"seed-{seed}" for seed in runs}
    svg = tmp_path / "curves.svg"
    write_curves_of_seeds({**folders, 1114: tmp_path / "not begun"}, svg)
    every = {seed: points(svg, f"valid_mae_{seed}") for seed in runs}
    assert {seed: len(line) for seed, line in every.items()} == {1111: 4, 1112: 3, 1113: 5}
    assert is_affine(
        np.concatenate([line[:, 1] for line in every.values()]),
        [mae for maes in runs.values() for mae in maes],
    )
    by_hand = np.mean([line[:3, 1] for line in every.values()], axis=0)
    np.testing.assert_allclose(points(svg, "valid_mae_mean")[:, 1], by_hand, atol=1e-3)
    assert {"seeds 1111, 1112, 1113", "mean", "best epoch of a seed"} <= set(texts(svg))
    turned = tmp_path / "turned.svg"
    write_curves_of_seeds(dict(reversed(folders.items())), turned)
    assert turned.read_bytes() == svg.read_bytes()


def test_it_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, svg = write_log(tmp_path / "log.jsonl", a_training()), tmp_path / "curves.svg"
    write_curves(log, svg)
    first = svg.read_bytes()

    def full(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    write_log(log, a_training([0.9, 0.8]))
    with pytest.raises(TrainingError, match=r"No space.*make room"):
        write_curves(log, svg)
    assert svg.read_bytes() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.svg", "log.jsonl"]

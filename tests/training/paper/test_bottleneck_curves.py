"""Figure 4 shows our figures where they belong, and is the same file every time."""

import sys
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest

from dashfusion_models.errors import TrainingError
from dashfusion_training.paper.bottleneck_curves import write_bottleneck_curves
from dashfusion_training.paper.comparison import ComparedRow, Comparison
from tests.training.paper.compared import ACC2, CURVES, MAE, curves

SVG = "{http://www.w3.org/2000/svg}"


def group(svg: Path, name: str) -> ElementTree.Element:
    (found,) = (g for g in ElementTree.parse(svg).iter(f"{SVG}g") if g.get("id") == name)
    return found


def corners(svg: Path, name: str) -> np.ndarray:
    """The corners of a drawn line, y upwards."""
    path = group(svg, name).find(f"{SVG}path")
    assert path is not None
    numbers = path.get("d", "").replace("M", " ").replace("L", " ").split()
    return np.array(numbers, np.float64).reshape(-1, 2) * [1, -1]


def dots(svg: Path, name: str) -> np.ndarray:
    uses = group(svg, name).iter(f"{SVG}use")
    return np.array([[float(u.get("x", "nan")), -float(u.get("y", "nan"))] for u in uses])


def texts(svg: Path) -> list[str]:
    return [element.text or "" for element in ElementTree.parse(svg).iter(f"{SVG}text")]


def ids(svg: Path) -> set[str | None]:
    return {g.get("id") for g in ElementTree.parse(svg).iter(f"{SVG}g")}


def scale(drawn: np.ndarray, values: list[float]) -> tuple[float, float]:
    """The slope and start with which `values` were drawn, upwards and straight."""
    slope, start = np.polyfit(values, drawn, 1)
    np.testing.assert_allclose(slope * np.array(values) + start, drawn, atol=1e-3)
    assert slope > 0
    return float(slope), float(start)


def test_means_are_lines_in_order_over_doublings_of_p(tmp_path: Path) -> None:
    svg = tmp_path / "fig4.svg"
    write_bottleneck_curves(curves(), svg)
    scale(corners(svg, "sims_acc2")[:, 1], [100 * ACC2[p] for p in (4, 8, 64)])
    scale(corners(svg, "sims_mae")[:, 1], [MAE[p] for p in (4, 8, 64)])
    scale(corners(svg, "sims_mae")[:, 0], [2, 3, 6])  # powers of 2
    shown = texts(svg)
    assert {"4", "8", "64", "Acc-2, %", "MAE (lower is better)", "p, bottleneck tokens"} <= set(
        shown
    )
    assert {"mean of 5 seeds", "± one standard deviation"} <= set(shown)


def test_a_bar_is_one_deviation_to_each_side(tmp_path: Path) -> None:
    svg = tmp_path / "fig4.svg"
    write_bottleneck_curves(curves(std=0.01), svg)
    slope, start = scale(corners(svg, "sims_mae")[:, 1], [MAE[p] for p in (4, 8, 64)])
    bars = group(svg, "sims_mae_std")
    lines = [path.get("d", "") for path in bars.findall(f"{SVG}path")]
    ends = np.array([line.replace("M", " ").replace("L", " ").split() for line in lines], float)
    ys = np.sort(-ends.reshape(3, 2, 2)[:, :, 1], axis=1)
    # drawn in the order of p
    by_hand = [[MAE[p] - 0.01, MAE[p] + 0.01] for p in (4, 8, 64)]
    np.testing.assert_allclose((ys - start) / slope, by_hand, atol=1e-4)


def test_single_seeds_are_points_and_need_no_bar(tmp_path: Path) -> None:
    svg = tmp_path / "fig4.svg"
    maes = {4: [0.40, 0.48], 8: [0.40, 0.42], 64: [0.41, 0.43]}
    seeds = {
        p: {"sims": {k: {"mae": value, "acc2": None} for k, value in enumerate(values)}}
        for p, values in maes.items()
    }
    write_bottleneck_curves(curves(), svg, seeds)
    slope, start = scale(corners(svg, "sims_mae")[:, 1], [MAE[p] for p in (4, 8, 64)])
    drawn = (dots(svg, "sims_mae_seeds")[:, 1] - start) / slope
    np.testing.assert_allclose(drawn, [*maes[4], *maes[8], *maes[64]], atol=1e-4)
    assert "sims_mae_std" not in ids(svg) and "sims_acc2_std" in ids(svg)
    assert "one seed" in texts(svg)


def test_one_seed_has_neither_bar_nor_points(tmp_path: Path) -> None:
    write_bottleneck_curves(curves(std=None), tmp_path / "fig4.svg")
    assert not {"sims_mae_std", "sims_mae_seeds"} & ids(tmp_path / "fig4.svg")


def test_a_p_that_was_not_run_is_left_out_and_none_is_no_file(tmp_path: Path) -> None:
    rows = curves().rows
    some = Comparison(table=CURVES, rows=(rows[0], ComparedRow(CURVES.rows[1], None), rows[2]))
    write_bottleneck_curves(some, tmp_path / "some.svg")
    assert len(corners(tmp_path / "some.svg", "sims_mae")) == 2
    none = Comparison(table=CURVES, rows=tuple(ComparedRow(row, None) for row in CURVES.rows))
    write_bottleneck_curves(none, tmp_path / "none.svg")
    assert not (tmp_path / "none.svg").exists()


def test_nothing_global_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # to import it is an error
    write_bottleneck_curves(curves(), tmp_path / "fig4.svg")
    assert (tmp_path / "fig4.svg").exists()


def test_the_bytes_are_the_same_whatever_the_settings_of_matplotlib(tmp_path: Path) -> None:
    write_bottleneck_curves(curves(), tmp_path / "one.svg")
    before = dict(mpl.rcParams)
    with mpl.rc_context({"lines.linewidth": 9, "svg.fonttype": "path", "errorbar.capsize": 9}):
        write_bottleneck_curves(curves(), tmp_path / "two.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert dict(mpl.rcParams) == before


def test_it_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="check the folder"):
        write_bottleneck_curves(curves(), tmp_path / "none" / "fig4.svg")
    assert list(tmp_path.iterdir()) == []

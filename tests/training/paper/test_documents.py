"""Each file says the paper's figures as printed, ours beneath, and what is missing."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

from dashfusion_models.errors import TrainingError
from dashfusion_training.paper.comparison import (
    ComparedRow,
    Comparison,
    Figure,
    Ours,
    figures_of,
    parts,
)
from dashfusion_training.paper.documents import (
    COLUMNS,
    comparison_csv,
    comparison_markdown,
    write_all,
)
from dashfusion_training.paper.lines import groups, heading, remarks
from dashfusion_training.paper.published import PAPER, PaperColumn, PaperRow, PaperTable
from tests.training.paper.compared import MISSING, SEEDS, TWO, counts, curves, two, ways

EVERY = [two(), two(whole=True), ways(), counts(), curves()]


def texts(comparison: Comparison, *, std_apart: bool = False) -> list[tuple[str, ...]]:
    """The lines of a whole table: name, then each cell."""
    columns = range(len(comparison.table.columns))
    return [
        (line.name, *("/".join(part.text for part in cell) for cell in line.cells))
        for group in groups(comparison, columns, std_apart=std_apart)
        for line in group
    ]


def csv_rows(comparison: Comparison) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(comparison_csv(comparison))))


def test_the_lines_of_a_row_are_the_papers_ours_and_the_difference() -> None:
    assert texts(two(whole=True)) == [
        ("MulT_1 (A)", "-/80.8", "0.70", "0.698", "-", "-", "0.677"),
        ("Other", "81.8/83.4", "0.783", "-", "83/84", "0.5", "0.6"),
        ("DashFusion", "84.26/85.82", "0.709", "0.796", "82.27/86.3", "0.524", "0.784"),
        (
            "ours, 3 to 5 seeds",
            "84.38±0.31/85.72±0.40", "0.712±0.004", "0.796±0.001",
            "82.27±1.00/90.00±2.00", "0.500±0.010", "-",
        ),
        ("ours - paper", "+0.12/-0.10", "+0.003", "0.000", "0.00/+3.70", "-0.024", "-"),
    ]  # fmt: skip


def test_deviations_may_stand_in_a_line_of_their_own() -> None:
    lines = texts(two(), std_apart=True)
    assert lines[3] == ("ours, 5 seeds", "84.38/85.72", "0.712", "0.796", "-", "-", "-")
    assert lines[4] == ("std", "±0.31/±0.40", "±0.004", "±0.001", "-", "-", "-")
    assert lines[5][0] == "ours - paper"


def test_one_seed_counted_and_not_run_are_said() -> None:
    assert texts(ways()) == [
        ("concat", "77.46", "0"),
        ("ours, 1 seed", "77.46", "0"),
        ("ours - paper", "0.00", "0"),
        ("HBF", "79.39", "145M"),
        ("ours, counted", "-", "146.6M"),
        ("ours - paper", "-", "+1.6M"),
        ("bf", "78.56", "162M"),
        ("ours, not run", "-", "-"),
    ]
    assert texts(counts()) == [
        ("train", "1284", "16326"),
        ("ours, counted", "1281", "16326"),
        ("ours - paper", "-3", "0"),
    ]


def test_a_figure_without_printed_figures_has_ours_alone() -> None:
    assert texts(curves(std=None)) == [
        ("p = 8 (ours, 5 seeds)", "80.00", "0.410"),
        ("p = 4 (ours, 5 seeds)", "78.00", "0.440"),
        ("p = 64 (ours, 5 seeds)", "79.00", "0.420"),
    ]


def test_better_is_up_for_accuracies_and_down_for_the_error() -> None:
    *_, difference = groups(two(whole=True), range(6))[-1]
    assert [[part.better for part in cell] for cell in difference.cells] == [
        [True, False], [False], [None], [None, True], [True], [None],
    ]  # fmt: skip
    *_, counted = groups(ways(), range(2))[1]
    assert counted.cells[1][0].better is None


def test_the_difference_is_that_of_the_figures_as_shown() -> None:
    """84.205 is shown as 84.20 or 84.21; whoever subtracts the printed 84.26 finds the same."""
    for mean in (0.84205, 0.842049999, 0.8425, 0.84259999):
        column = PaperColumn("mosi", "Acc-7", ("acc7",), "percent")
        table = PaperTable("table9", "x", (column,), (PaperRow("m", ("84.26",), changes={}),))
        ours = Ours(seeds={"mosi": (1,)}, mean={"mosi": {"acc7": mean}}, std={"mosi": {}})
        rows = (ComparedRow(table.rows[0], ours),)
        lines = texts(Comparison(table=table, rows=rows))
        assert float(lines[2][1]) == pytest.approx(float(lines[1][1]) - 84.26, abs=1e-9)


def test_problems_come_last_once_and_name_their_row_where_it_matters() -> None:
    found = remarks(ways())
    assert [r.text for r in found if r.kind == "problem"] == [
        "CH-SIMS: no file",
        "concat: seed 1112 was stopped",
    ]
    assert found[-1].kind == "problem"
    assert [r.text for r in remarks(two()) if r.kind == "problem"] == [MISSING]
    assert "112,059,777 parameters" in [r.text for r in remarks(two()) if r.kind == "fact"]
    kinds = [r.kind for r in remarks(two())]
    assert kinds == ["source", "reading", "note", "fact", "problem"]
    assert "deviation" not in "".join(r.text for r in remarks(ways()))  # there is but one seed


def test_names_are_the_papers() -> None:
    assert [heading(TWO), heading(PAPER["fig4"])[:9]] == ["Table II: MOSI & MOSEI", "Figure 4:"]
    assert heading(PaperTable("own", "x", (), ())) == "own: x"


def test_a_printed_cell_has_as_many_parts_as_metrics() -> None:
    assert [parts("-", 2), parts("-/80.8", 2), parts("0.70", 1)] == [
        ("-", "-"), ("-", "80.8"), ("0.70",),
    ]  # fmt: skip
    for table in PAPER.values():
        for row in table.rows:
            for k, column in enumerate(table.columns):
                figures = figures_of(ComparedRow(row, None), k, column)
                assert len(figures) == len(column.metrics)
                assert all(isinstance(f.published, (float, type(None))) for f in figures)


def test_csv_has_a_line_for_each_row_benchmark_and_metric() -> None:
    rows = csv_rows(two())
    assert tuple(rows[0]) == COLUMNS and len(rows) == 3 * 8
    first, ours, missing = rows[1], rows[2 * 8], rows[2 * 8 + 4]
    assert (first["row"], first["source"], first["metric"]) == ("MulT_1 (A)", "a", "acc2_np")
    assert (first["published"], first["ours_mean"], first["problem"]) == ("80.8", "", "")
    assert rows[0]["published"] == "" and rows[2]["published"] == "0.70"
    assert ours == {
        "table": "table2", "row": "DashFusion", "source": "", "benchmark": "mosi",
        "metric": "acc2_nn", "unit": "percent", "published": "84.26", "ours_mean": "84.375",
        "ours_std": "0.3125", "seeds": "1111 1112 1113 1114 1115", "difference": "0.115",
        "problem": "", "departure": "",
    }  # fmt: skip
    assert (missing["benchmark"], missing["ours_mean"]) == ("mosei", "")
    assert missing["problem"] == MISSING


def test_csv_says_the_problem_of_the_table_where_a_row_has_none() -> None:
    rows = {(r["row"], r["metric"]): r for r in csv_rows(ways())}
    assert rows["concat", "f1"]["problem"] == "seed 1112 was stopped"
    assert rows["HBF", "f1"]["problem"] == rows["bf", "f1"]["problem"] == "CH-SIMS: no file"
    counted = rows["HBF", "multiply_adds"]
    assert (counted["published"], counted["unit"]) == ("145", "millions")
    assert (counted["ours_mean"], counted["problem"]) == ("146.639872", "")
    assert rows["concat", "multiply_adds"]["difference"] == "0"


def test_csv_is_read_by_pandas_and_holds_no_formula() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(io.StringIO(comparison_csv(two(whole=True))))
    ours = frame[frame.row == "DashFusion"].set_index(["benchmark", "metric"])
    assert ours.difference["mosei", "acc2_np"] == pytest.approx(90 - 86.3)
    assert frame.ours_mean.count() == 7
    wild = PaperTable("t", "t", TWO.columns[:1], (PaperRow("=1+1", ("-",)),))
    wild_rows = csv_rows(Comparison(table=wild, rows=(ComparedRow(wild.rows[0], None),)))
    assert wild_rows[0]["row"] == "'=1+1"


def test_markdown_is_one_table_with_ours_in_bold() -> None:
    text = comparison_markdown(two())
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {8}
    assert table[0] == (
        "|  | MOSI Acc-2 | MOSI MAE | MOSI Corr | MOSEI Acc-2 | MOSEI MAE | MOSEI Corr |"
    )
    assert table[2].startswith("| MulT_1 (A) <sup>a</sup> | -/80.8 | 0.70 |")
    assert "| **ours, 5 seeds** | **84.38±0.31/85.72±0.40** | **0.712±0.004** |" in text
    assert "| ours - paper | +0.12/-0.10 | +0.003 | 0.000 | - | - | - |" in text
    assert text.startswith("**Table II: MOSI \\& MOSEI** (not complete)\n\n|")
    assert "- Mean of λ·x, 5 \\> 3 \\| #1 $\\_{x}$.\n" in text
    assert text.index("**Missing (1):**") < text.index("- mosei: no store of it; get unaligned_50")
    assert "Missing" not in comparison_markdown(two(whole=True))


def test_json_is_finite_and_in_the_units_of_the_columns() -> None:
    origin = {"folder": Path("runs"), "seeds": (1, 2), "loss": float("nan")}
    given = two()
    comparison = Comparison(table=given.table, rows=given.rows, facts=given.facts, origin=origin)
    body = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert (body["schema"], body["table"], body["complete"]) == (
        "dashfusion/reproduction/1", "table2", False,
    )  # fmt: skip
    assert body["origin"] == {"folder": "runs", "seeds": [1, 2], "loss": None}
    baseline, _, ours = body["rows"]
    assert baseline["changes"] is None and ours["changes"] == {}
    assert ours["seeds"] == {"mosi": list(SEEDS)} and ours["problems"] == [MISSING]
    assert ours["figures"][0] == {
        "benchmark": "mosi", "name": "Acc-2", "metric": "acc2_nn", "unit": "percent",
        "printed": "84.26", "published": 84.26, "mean": 84.375, "std": 0.3125,
        "difference": 0.115,
    }  # fmt: skip
    assert ours["figures"][4]["mean"] is None
    assert body["facts"] == ["112,059,777 parameters"]


def test_a_figure_that_is_not_finite_is_none() -> None:
    ours = Ours(seeds={}, mean={"mosi": {"mae": float("nan")}}, std={})
    (figure,) = figures_of(ComparedRow(TWO.rows[2], ours), 1, TWO.columns[1])
    assert isinstance(figure, Figure)
    assert figure.mean is None and figure.difference is None


@pytest.mark.parametrize("comparison", EVERY, ids=lambda c: c.table.name)
def test_all_files_are_written(comparison: Comparison, tmp_path: Path) -> None:
    written = write_all(comparison, tmp_path / "new" / "tables")
    name = comparison.table.name
    assert [path.name for path in written] == [
        f"{name}.{end}" for end in ("csv", "json", "md", "tex")
    ]
    assert sorted(written) == sorted((tmp_path / "new" / "tables").iterdir())
    assert written[2].read_text("utf-8") == comparison_markdown(comparison)
    assert json.loads(written[1].read_text("utf-8")) == comparison.to_dict()
    before = [path.read_bytes() for path in written]
    write_all(comparison, tmp_path / "new" / "tables")
    assert [path.read_bytes() for path in written] == before


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, *_: object, **__: object) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(TrainingError, match="No space"):
        write_all(two(), tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="check the folder"):
        write_all(two(), tmp_path / "file")

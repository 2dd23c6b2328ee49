"""The paper's tables as data: every figure as METHOD.md prints it, every row one that can run."""

import re
from pathlib import Path

import numpy as np
import pytest

from dashfusion_training.benchmarks import BENCHMARKS, SPLITS
from dashfusion_training.config import ABLATIONS, changed, read_preset
from dashfusion_training.metrics import mosi_metrics, sims_metrics
from dashfusion_training.paper.published import PAPER, PaperColumn, PaperRow, PaperTable

METHOD = Path(__file__).parents[3] / "models" / "METHOD.md"

TABLES = ("table1", "table2", "table3", "table4", "table5", "fig4")
TABLE = pytest.mark.parametrize("name", TABLES)
NUMBER = re.compile(r"\d+(\.\d+)?")

# A row as printed: method, source, cells.
Printed = tuple[str, str, tuple[str, ...]]


def row_of(name: str, method: str, source: str = "") -> PaperRow:
    (row,) = (r for r in PAPER[name].rows if (r.method, r.source) == (method, source))
    return row


def cell(name: str, method: str, column: str, *, source: str = "", benchmark: str = "sims") -> str:
    (at,) = (
        k for k, c in enumerate(PAPER[name].columns) if (c.benchmark, c.name) == (benchmark, column)
    )
    return row_of(name, method, source).cells[at]


def numbers(column: PaperColumn, printed: str) -> list[float]:
    """Those of a cell; fails where it is not of the column's form."""
    if printed == "-":
        return []
    if column.unit == "millions":
        assert re.fullmatch(r"0|\d+M", printed), printed
        return [float(printed.removesuffix("M"))]
    parts = printed.split("/")
    assert len(parts) == len(column.metrics), printed
    assert parts[-1] != "-", printed
    assert all(part == "-" or NUMBER.fullmatch(part) for part in parts), printed
    return [float(part) for part in parts if part != "-"]


def test_the_tables_are_those_of_the_paper_in_its_order() -> None:
    assert tuple(PAPER) == TABLES
    assert all(table.name == name for name, table in PAPER.items())
    assert [len(table.rows) for table in PAPER.values()] == [4, 11, 11, 6, 5, 5]
    assert [table.benchmarks for table in PAPER.values()] == [
        ("mosi", "mosei", "sims"),
        ("mosi", "mosei"),
        *[("sims",)] * 4,
    ]


@TABLE
def test_every_cell_is_of_its_columns_form(name: str) -> None:
    table = PAPER[name]
    assert len({(row.method, row.source) for row in table.rows}) == len(table.rows)
    assert len({(c.benchmark, c.name) for c in table.columns}) == len(table.columns)
    for row in table.rows:
        assert len(row.cells) == len(table.columns)
        for column, printed in zip(table.columns, row.cells, strict=True):
            found = numbers(column, printed)
            # within what the metric can be: a figure in the wrong column or unit stands out
            low, high = {"percent": (20, 100), "millions": (0, 1000)}.get(column.unit, (0, 1))
            if column.metrics != ("samples",):
                assert all(low <= number <= high for number in found), (row.method, printed)


@TABLE
def test_every_column_is_a_metric_of_its_benchmark(name: str) -> None:
    label, guess = np.array([-1.0, 0.0, 0.4, 1.0]), np.array([-0.8, 0.1, 0.3, 0.6])
    known = {
        "mosi": mosi_metrics(label, guess),
        "mosei": mosi_metrics(label, guess),
        "sims": sims_metrics(label, guess),
    }
    for column in PAPER[name].columns:
        for metric in column.metrics:
            if metric == "samples":
                assert (name, column.unit) == ("table1", "")
            elif metric == "multiply_adds":
                assert (name, column.unit) == ("table5", "millions")
            else:
                assert metric in known[column.benchmark]
                # accuracies and F1 are shares, and shares are printed in percent
                share = metric.startswith(("acc", "f1"))
                assert column.unit == ("percent" if share else "")


def test_counts_are_those_that_prepared_files_are_checked_against() -> None:
    table = PAPER["table1"]
    for at, column in enumerate(table.columns):
        counts = {row.method: int(row.cells[at]) for row in table.rows}
        assert counts.pop("all") == sum(counts.values())
        assert tuple(counts) == SPLITS
        assert counts == dict(BENCHMARKS[column.benchmark].counts)
    assert all(row.changes is None for row in table.rows)


@TABLE
def test_sources_are_named_exactly_where_they_are_used(name: str) -> None:
    rows = PAPER[name].rows
    marks = {mark for row in rows for mark in re.findall(r"\([A-Z]\)", row.method)}
    assert set(PAPER[name].sources) == marks | {row.source for row in rows if row.source}


@pytest.mark.parametrize("name", TABLES[1:])
def test_a_row_is_either_published_elsewhere_or_can_be_run(name: str) -> None:
    for row in PAPER[name].rows:
        assert (row.changes is None) == bool(row.source)


@pytest.mark.parametrize("name", TABLES[1:])
def test_every_row_to_run_is_a_configuration_of_its_own(name: str) -> None:
    table = PAPER[name]
    for benchmark in table.benchmarks:
        preset = read_preset(benchmark)
        configs = [changed(preset, r.changes) for r in table.rows if r.changes is not None]
        assert sum(config == preset for config in configs) == 1  # the full model
        assert all(a != b for k, a in enumerate(configs) for b in configs[:k])


def test_the_full_model_is_the_preset_in_every_table() -> None:
    full = {"table2": "DashFusion", "table3": "DashFusion", "table4": "full", "table5": "HBF"}
    for name, method in full.items():
        assert row_of(name, method).changes == {}
    # Said, because a user's own p must not move this row.
    assert row_of("fig4", "p = 8").changes == {"bottleneck": 8}


def test_the_rows_of_table_4_are_the_ablations() -> None:
    parts = {row.method: row.changes for row in PAPER["table4"].rows}
    assert parts == {"full": {}} | {
        f"without {part}": ABLATIONS[key]
        for part, key in {
            "temporal alignment": "temporal-alignment",
            "semantic alignment": "semantic-alignment",
            "dual-stream alignment": "dual-stream-alignment",
            "SCL": "scl",
            "HBF": "hbf",
        }.items()
    }


def test_the_fusions_of_table_5() -> None:
    sims = read_preset("sims")
    fusions = [changed(sims, row.changes or {}).fusion for row in PAPER["table5"].rows]
    assert fusions == ["concat", "concat-sa", "ca", "bf", "hbf"]
    assert row_of("table5", "concat").changes == row_of("table4", "without HBF").changes


def test_the_bottlenecks_of_figure_4() -> None:
    sims = read_preset("sims")
    for row, p in zip(PAPER["fig4"].rows, (4, 8, 16, 32, 64), strict=True):
        assert changed(sims, row.changes or {}).bottleneck == p
        assert set(row.cells) == {"-"}


def test_nothing_printed_can_be_changed() -> None:
    with pytest.raises(TypeError):
        PAPER["table6"] = PAPER["table5"]  # type: ignore[index]
    with pytest.raises(TypeError):
        row_of("table4", "without HBF").changes["fusion"] = "bf"  # type: ignore[index]
    with pytest.raises(TypeError):
        PAPER["table2"].sources["a"] = "us"  # type: ignore[index]


def test_figures_read_off_by_hand() -> None:
    assert cell("table1", "valid", "MOSEI", benchmark="mosei") == "1871"
    assert cell("table2", "TFN", "Acc-2", source="a", benchmark="mosi") == "-/80.8"
    assert cell("table2", "MMIM", "MAE", source="b", benchmark="mosi") == "0.70"
    assert cell("table2", "MulT (A)", "Acc-7", source="a", benchmark="mosei") == "52.84"
    assert cell("table2", "ConFEDE", "F1", source="r", benchmark="mosei") == "81.98/84.36"
    assert cell("table2", "DashFusion", "Acc-2", benchmark="mosi") == "84.26/85.82"
    assert cell("table2", "DashFusion", "Acc-2", benchmark="mosei") == "82.27/86.3"
    assert cell("table3", "MISA", "Acc-3", source="c") == "-"
    assert cell("table3", "ConFEDE (U)", "Acc-2", source="r") == "81.1"
    assert cell("table3", "DashFusion", "MAE") == "0.416"
    assert cell("table4", "full", "MAE") == "0.412"
    assert cell("table4", "without semantic alignment", "Acc-5") == "43.11"
    assert cell("table5", "concat", "MAdds") == "0"
    assert cell("table5", "HBF", "MAdds") == "145M"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("table2", "labelled 0"),
        ("table3", "0.416"),
        ("table4", "0.412"),
        ("table4", "may not return"),
        ("table4", "'concat'"),
        ("table5", "'without HBF'"),
        ("table5", "no single convention"),
        ("fig4", "curves only"),
        ("fig4", "CH-SIMS"),
    ],
)
def test_what_a_reader_must_know_is_said(name: str, words: str) -> None:
    assert any(words in note for note in PAPER[name].notes)
    assert all("\n" not in note and "  " not in note for note in PAPER[name].notes)


def of_method(start: str, end: str) -> list[str]:
    """The lines of METHOD.md from the one that begins with `start` until that with `end`."""
    lines = METHOD.read_text("utf-8").splitlines()
    first = next(k for k, line in enumerate(lines) if line.startswith(start))
    last = next(k for k, line in enumerate(lines) if k > first and line.startswith(end))
    return lines[first:last]


def fields(line: str) -> list[str]:
    return [part.strip() for part in line.strip().strip("|").split("|")]


def piped(start: str, end: str) -> tuple[list[str], list[Printed]]:
    """Columns and rows of a table with pipes; a row's name ends in the letter of its source."""
    lines = [line for line in of_method(start, end) if line.startswith("|")]
    rows = []
    for line in lines[2:]:
        name, *cells = fields(line)
        found = re.fullmatch(r"\*{0,2}(.+?)\*{0,2}(?: ([a-z]))?", name)
        assert found is not None
        rows.append((found[1], found[2] or "", tuple(cells)))
    return fields(lines[0])[1:], rows


def listed(start: str, end: str) -> list[Printed]:
    """The rows of a list: a name, then its figures between commas."""
    rows = []
    for line in of_method(start, end):
        found = re.match(r"\* ([^\d:]+?)[:,]? (\d[\d.]*M?(?:, \d[\d.]*M?)+)", line)
        if found:
            rows.append((found[1], "", tuple(found[2].split(", "))))
    return rows


def ours(table: PaperTable) -> list[Printed]:
    return [(row.method, row.source, row.cells) for row in table.rows]


def test_table_1_is_that_of_method() -> None:
    (line,) = (row for row in of_method("## 6.", "## 7.") if "(table I)" in row)
    name, *cells = fields(line)
    splits = name.removesuffix(" (table I)").split(" / ")
    counts = [entry.split("/") for entry in cells]
    rows = zip(splits, zip(*counts, strict=True), strict=True)
    assert ours(PAPER["table1"]) == [(split, "", row) for split, row in rows]
    header = next(row for row in of_method("## 6.", "## 7.") if row.startswith("| |"))
    assert [column.name for column in PAPER["table1"].columns] == fields(header)[1:]


def test_table_2_is_that_of_method() -> None:
    columns, rows = piped("| Table II |", "| Table III")
    assert ours(PAPER["table2"]) == rows
    titles = {"mosi": "MOSI", "mosei": "MOSEI"}
    found = [(titles[c.benchmark], c.name) for c in PAPER["table2"].columns]
    # METHOD.md names the benchmark in the first of its columns only
    half = len(columns) // 2
    assert found == [
        (title, column.removeprefix(f"{title} "))
        for title, part in (("MOSI", columns[:half]), ("MOSEI", columns[half:]))
        for column in part
    ]


def test_table_3_is_that_of_method() -> None:
    columns, rows = piped("| Table III,", "Table IV,")
    assert ours(PAPER["table3"]) == rows
    assert [column.name for column in PAPER["table3"].columns] == columns


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [("table4", "Table IV,", "Table V,"), ("table5", "Table V,", "Fig. 4")],
)
def test_tables_4_and_5_are_those_of_method(name: str, start: str, end: str) -> None:
    assert ours(PAPER[name]) == listed(start, end)


def test_figure_4_is_that_of_method() -> None:
    (line,) = of_method("Fig. 4", "Multiply-adds")[:1]
    found = re.search(r"p in \{([\d, ]+)\}", line)
    assert found is not None
    assert [row.method for row in PAPER["fig4"].rows] == [f"p = {p}" for p in found[1].split(", ")]

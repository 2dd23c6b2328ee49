"""The table fits where it is shown, and says the same everywhere."""

import re

import pytest
from rich.cells import cell_len

from dashfusion_cli.render.paper import comparison_table
from dashfusion_cli.render.plain import Look
from dashfusion_training.paper.comparison import ComparedRow, Comparison
from dashfusion_training.paper.published import PAPER
from tests.training.paper.compared import MISSING, counts, curves, two, ways

EVERY = [two(), two(whole=True), ways(), counts(), curves()]
PUBLISHED = [
    Comparison(table=table, rows=tuple(ComparedRow(row, None) for row in table.rows))
    for table in PAPER.values()
]


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("width", [40, 60, 72, 80, 100, 160])
@pytest.mark.parametrize("comparison", [*EVERY, *PUBLISHED], ids=lambda c: c.table.name)
def test_no_line_is_wider_than_the_place(
    comparison: Comparison, width: int, ascii_only: bool
) -> None:
    text = comparison_table(comparison, Look(width=width, ascii_only=ascii_only))
    assert max(map(cell_len, text.splitlines())) <= width
    assert text.isascii() or not ascii_only
    assert "…" not in text and text.endswith("\n")
    flat = re.sub(r"[\s|]", "", text)
    for row in comparison.table.rows:
        for cell in row.cells:
            assert cell in flat or cell.replace("/", "") in flat


def test_a_wide_place_has_one_table_with_the_benchmarks_above() -> None:
    lines = words(comparison_table(two(whole=True), Look(width=160)))
    top = lines.index(["MOSI", "MOSEI"])
    assert lines[top + 1] == ["Acc-2", "MAE", "Corr"] * 2
    for line in (
        "ours, 3 to 5 seeds 84.38±0.31/85.72±0.40 0.712±0.004 0.796±0.001 82.27±1.00/90.00±2.00 "
        "0.500±0.010 -",
        "ours - paper +0.12/-0.10 +0.003 0.000 0.00/+3.70 -0.024 -",
    ):
        assert line.split() in lines
    assert ["MulT_1", "(A)", "a", "-/80.8", "0.70", "0.698", "-", "-", "0.677"] in lines


def test_a_narrower_one_breaks_cells_then_cuts_by_benchmark_then_sets_deviations_apart() -> None:
    def at(width: int) -> list[list[str]]:
        return words(comparison_table(two(whole=True), Look(width=width)))

    broken = at(104)
    assert ["85.72±0.40", "90.00±2.00"] in broken and ["MOSI", "MOSEI"] in broken
    cut = at(70)
    assert ["MOSI"] in cut and ["MOSEI"] in cut and cut.index(["MOSI"]) < cut.index(["MOSEI"])
    assert ["ours,", "5", "seeds", "84.38±0.31/85.72±0.40", "0.712±0.004", "0.796±0.001"] in cut
    assert ["ours,", "3", "seeds", "82.27±1.00/90.00±2.00", "0.500±0.010", "-"] in cut
    apart = at(45)
    assert ["ours,", "5", "seeds", "84.38/85.72", "0.712", "0.796"] in apart
    assert ["std", "±0.31/±0.40", "±0.004", "±0.001"] in apart


def test_what_is_missing_is_visible_at_the_top_and_at_the_end() -> None:
    text = comparison_table(two(), Look(width=80))
    assert text.startswith("Table II: MOSI & MOSEI (not complete, see below)\n")
    tail = text[text.index("Missing (1):") :]
    assert tail.splitlines()[1].startswith("! mosei: no store of it; get unaligned_50.pkl")
    assert "ad8b23d5" * 8 in tail  # whole, to be copied
    assert " ".join(tail.split("! ", 1)[1].split()) == MISSING
    assert "ours, not run" in text
    whole = comparison_table(two(whole=True), Look(width=80))
    assert "not complete" not in whole and "Missing" not in whole


def test_sources_notes_and_facts_stand_beneath() -> None:
    text = comparison_table(two(), Look(width=120))
    beneath = text[text.index("- a: ") :]
    assert beneath.startswith("- a: a paper with 100 %; r: a rerun; (A): on aligned data\n")
    assert "- Accuracies and F1 are in percent. Ours: mean ± standard deviation (n - 1)" in beneath
    assert "- Mean of λ·x" in beneath and "- 112,059,777 parameters" in beneath


def test_ascii_spells_what_it_lacks() -> None:
    text = comparison_table(two(whole=True), Look(width=160, ascii_only=True))
    assert "84.38+-0.31/85.72+-0.40" in text and "lambda-x" in text and "?" not in text


def test_colour_adds_to_the_signs_and_plain_text_has_none() -> None:
    plain = comparison_table(two(), Look(width=80))
    coloured = comparison_table(two(), Look(width=80, colors="standard"))
    assert "\x1b" not in plain and "\x1b[" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured).split() == plain.split()
    better, worse = (
        re.search(r"\x1b\[(\d+)m\+0\.12", coloured),
        re.search(r"\x1b\[(\d+)m\+0\.003", coloured),
    )
    assert better and worse and (better[1], worse[1]) == ("32", "31")  # green, red


def test_text_cannot_steer_the_terminal() -> None:
    given = two()
    evil = Comparison(table=given.table, rows=given.rows, problems=("a\x1b[31mred\x07\r\nb",))
    assert not {"\x1b", "\x07", "\r"} & set(comparison_table(evil, Look()))


def test_counts_and_rows_without_printed_figures() -> None:
    lines = words(comparison_table(counts(), Look()))
    assert ["MOSI", "MOSEI"] in lines  # the columns themselves
    assert ["ours", "-", "paper", "-3", "0"] in lines
    flat = comparison_table(curves(std=None), Look())
    assert "p = 8 (ours, 5 seeds)   80.00  0.410\np = 4 (ours" in flat  # no empty lines between
    assert ["ours,", "counted", "-", "146.6M"] in words(comparison_table(ways(), Look()))

"""A comparison as lines of cells, before a terminal, Markdown or LaTeX sets them.

Numbers are shown with the decimals of the paper: two for what is in percent, three for MAE and
Corr, whole samples, millions with one. A difference is that of the figures as they are shown, so
that whoever subtracts finds the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from dashfusion_training.benchmarks import BENCHMARKS
from dashfusion_training.paper.comparison import (
    NOTHING,
    ComparedRow,
    Comparison,
    Figure,
    figures_of,
)
from dashfusion_training.paper.published import PaperTable

__all__ = [
    "DEPARTS",
    "Line",
    "Part",
    "Remark",
    "benchmark_name",
    "groups",
    "heading",
    "paper_name",
    "remarks",
]

_ROMAN = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")
DEPARTS = "not the paper's data or settings, see below"
_DIFFERENCE = "ours - paper"
_NOT_RUN = "ours, not run"


@dataclass(frozen=True)
class Part:
    """One figure of a cell; `better` says which way a difference goes, where it goes a way."""

    text: str
    better: bool | None = None


@dataclass(frozen=True)
class Line:
    """One line of a table: a name, the letter of its source, and the parts of each cell."""

    kind: Literal["paper", "ours", "std", "difference"]
    name: str
    source: str
    cells: tuple[tuple[Part, ...], ...]


@dataclass(frozen=True)
class Remark:
    """Something to be read beneath a table."""

    kind: Literal["departure", "source", "reading", "note", "fact", "problem"]
    text: str


def paper_name(table: PaperTable) -> str:
    """The name as the paper writes it: "Table II"."""
    found = re.fullmatch(r"(table|fig)(\d)", table.name)
    if found is None:
        return table.name
    number = int(found[2])
    return f"Table {_ROMAN[number]}" if found[1] == "table" else f"Figure {number}"


def heading(table: PaperTable) -> str:
    """The name of a table and its title: "Table II: MOSI and MOSEI"."""
    return f"{paper_name(table)}: {table.title}"


def benchmark_name(benchmark: str) -> str:
    """The name that people use: "CH-SIMS" for "sims"."""
    return BENCHMARKS[benchmark].title if benchmark in BENCHMARKS else benchmark


def groups(
    comparison: Comparison, columns: Sequence[int], *, std_apart: bool = False
) -> list[tuple[Line, ...]]:
    """The lines of some columns: baselines together, then each row of ours as a group.

    A group has the paper's line, ours, and the difference; deviations stand behind the means, or
    with `std_apart` in a line of their own.
    """
    found: list[tuple[Line, ...]] = []
    baselines: list[Line] = []
    for row in comparison.rows:
        cells = [figures_of(row, k, comparison.table.columns[k]) for k in columns]
        paper = Line("paper", row.paper.method, row.paper.source, _printed(cells))
        if row.ours is None and row.paper.changes is None:
            baselines.append(paper)
            continue
        if baselines:
            found.append(tuple(baselines))
            baselines = []
        found.append(_group(row, paper, cells, std_apart=std_apart))
    return [*found, tuple(baselines)] if baselines else found


def remarks(comparison: Comparison) -> list[Remark]:
    """Departures first, sources, how to read ours, notes, facts, problems last; each once."""
    table = comparison.table
    found = [Remark("departure", text) for text in comparison.departures]
    if table.sources:
        legend = "; ".join(f"{mark}: {who}" for mark, who in table.sources.items())
        found.append(Remark("source", legend))
    if reading := _reading(comparison):
        found.append(Remark("reading", reading))
    found += [Remark("note", note) for note in table.notes]
    found += [Remark("fact", fact) for fact in comparison.facts]
    return found + [Remark("problem", problem) for problem in _problems(comparison)]


def _group(
    row: ComparedRow, paper: Line, cells: Sequence[Sequence[Figure]], *, std_apart: bool
) -> tuple[Line, ...]:
    figures = [figure for cell in cells for figure in cell]
    name = _ours_name(figures)
    # A figure that is printed as curves has nothing to stand above ours.
    if any(cell != NOTHING for cell in row.paper.cells):
        lines = [paper]
    else:
        lines, name = [], f"{paper.name} ({name})"
    lines.append(Line("ours", name, "", _cells(cells, _mean if std_apart else _mean_and_std)))
    if std_apart and any(_std(figure) for figure in figures):
        lines.append(Line("std", "std", "", _cells(cells, _std)))
    if any(figure.difference is not None for figure in figures):
        lines.append(Line("difference", _DIFFERENCE, "", _differences(cells)))
    return tuple(lines)


def _ours_name(figures: Sequence[Figure]) -> str:
    known = [figure for figure in figures if figure.mean is not None]
    counts = sorted({len(figure.seeds) for figure in known if figure.lower_is_better is not None})
    if not counts or not counts[-1]:
        return "ours, counted" if known else _NOT_RUN
    number = f"{counts[-1]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"ours, {number} seed{'' if counts[-1] == 1 else 's'}"


def _printed(cells: Sequence[Sequence[Figure]]) -> tuple[tuple[Part, ...], ...]:
    return tuple(_joined([figure.printed for figure in cell]) for cell in cells)


def _cells(
    cells: Sequence[Sequence[Figure]], text: Callable[[Figure], str]
) -> tuple[tuple[Part, ...], ...]:
    return tuple(_joined([text(figure) or NOTHING for figure in cell]) for cell in cells)


def _joined(texts: Sequence[str]) -> tuple[Part, ...]:
    """The parts of a cell; one "-" where all of them are missing."""
    nothing = all(text == NOTHING for text in texts)
    return (Part(NOTHING),) if nothing else tuple(map(Part, texts))


def _differences(cells: Sequence[Sequence[Figure]]) -> tuple[tuple[Part, ...], ...]:
    found = [tuple(map(_difference, cell)) for cell in cells]
    return tuple(
        (Part(NOTHING),) if all(part.text == NOTHING for part in cell) else cell for cell in found
    )


def _difference(figure: Figure) -> Part:
    if figure.mean is None or figure.published is None:
        return Part(NOTHING)
    decimals = _decimals(figure)
    value = round(round(figure.mean, decimals) - figure.published, decimals)
    lower = figure.lower_is_better
    better = None if lower is None or not value else (value < 0) == lower
    sign = "+" if value > 0 else ""
    return Part(sign + _number(figure, value), better)


def _mean(figure: Figure) -> str:
    return "" if figure.mean is None else _number(figure, figure.mean)


def _std(figure: Figure) -> str:
    """The deviation behind its sign; nothing for what is only counted."""
    if figure.mean is None or figure.std is None or figure.lower_is_better is None:
        return ""
    return "±" + _number(figure, figure.std)


def _mean_and_std(figure: Figure) -> str:
    return _mean(figure) + _std(figure)


def _number(figure: Figure, value: float) -> str:
    """A number in the unit of its column; what is shown as zero has no sign."""
    millions = figure.column.unit == "millions"
    if millions and not value:
        return "0"
    decimals = _decimals(figure)
    return f"{round(value, decimals) + 0.0:.{decimals}f}" + ("M" if millions else "")


def _decimals(figure: Figure) -> int:
    if figure.metric == "samples":
        return 0
    return {"percent": 2, "millions": 1, "": 3}[figure.column.unit]


def _reading(comparison: Comparison) -> str:
    parts = []
    if any(column.unit == "percent" for column in comparison.table.columns):
        parts.append("Accuracies and F1 are in percent.")
    deviations = [row.ours.std for row in comparison.rows if row.ours]
    if any(v is not None for of in deviations for metrics in of.values() for v in metrics.values()):
        parts.append("Ours: mean ± standard deviation (n - 1) over the seeds.")
    return " ".join(parts)


def _problems(comparison: Comparison) -> list[str]:
    """All problems; one that a single row has names the row, where there are several."""
    of_rows = [(row.paper.method, row.ours.problems) for row in comparison.rows if row.ours]
    every = [problem for _, problems in of_rows for problem in problems]
    found = list(comparison.problems)
    for method, problems in of_rows:
        for problem in problems:
            named = every.count(problem) > 1 or len(of_rows) == 1 or problem.startswith(method)
            found.append(problem if named else f"{method}: {problem}")
    return list(dict.fromkeys(found))

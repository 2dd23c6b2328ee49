"""A table of the paper beside ours as files: CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path

from dashfusion_training.files import write_whole, writing
from dashfusion_training.paper.comparison import (
    NOTHING,
    ComparedRow,
    Comparison,
    Figure,
    figures_of,
)
from dashfusion_training.paper.lines import (
    DEPARTS,
    Line,
    Part,
    Remark,
    benchmark_name,
    groups,
    heading,
    remarks,
)
from dashfusion_training.paper.published import PaperTable
from dashfusion_training.paper.tex import comparison_latex

__all__ = [
    "COLUMNS",
    "comparison_csv",
    "comparison_json",
    "comparison_latex",
    "comparison_markdown",
    "write_all",
]

COLUMNS = (
    "table",
    "row",
    "source",
    "benchmark",
    "metric",
    "unit",
    "published",
    "ours_mean",
    "ours_std",
    "seeds",
    "difference",
    "problem",
    "departure",
)

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_all(comparison: Comparison, folder: Path, name: str = "") -> tuple[Path, ...]:
    """Write <name>.csv, .json, .md and .tex into `folder`, each whole or not at all.

    The name is the table's unless told. Returns the paths.

    Raises:
        TrainingError: the folder or a file cannot be written.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    forms = {
        "csv": comparison_csv,
        "json": comparison_json,
        "md": comparison_markdown,
        "tex": comparison_latex,
    }
    written = []
    for ending, form in forms.items():
        path = folder / f"{name or comparison.table.name}.{ending}"
        write_whole(path, form(comparison))
        written.append(path)
    return tuple(written)


def comparison_json(comparison: Comparison) -> str:
    """The JSON form (schema dashfusion/reproduction/1)."""
    return json.dumps(comparison.to_dict(), indent=1, allow_nan=False) + "\n"


def comparison_csv(comparison: Comparison) -> str:
    """A line for each row, benchmark and metric, in the units of the paper; see COLUMNS.

    `published` is as printed and empty where nothing is; `ours_mean`, `ours_std` and `difference`
    are rounded to 6 decimals; `problem` says why a figure of ours, or a seed of it, is missing,
    `departure` in what it is not the paper's.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in comparison.rows:
        for number, column in enumerate(comparison.table.columns):
            for figure in figures_of(row, number, column):
                writer.writerow(_csv_line(comparison, row, figure))
    return text.getvalue()


def _csv_line(comparison: Comparison, row: ComparedRow, figure: Figure) -> Sequence[str]:
    table = comparison.table
    return (
        table.name,
        _text(row.paper.method),
        _text(row.paper.source),
        figure.column.benchmark,
        figure.metric,
        figure.column.unit,
        "" if figure.printed == NOTHING else figure.printed.removesuffix("M"),
        _number(figure.mean),
        _number(figure.std),
        " ".join(map(str, figure.seeds)),
        _number(figure.difference),
        _text("; ".join(_problems(comparison, row, figure))),
        _text(" ".join(_departures(comparison, figure))),
    )


def _problems(comparison: Comparison, row: ComparedRow, figure: Figure) -> list[str]:
    """Those of the row; where there are none and the figure is missing, those of the table."""
    if row.ours is None and row.paper.changes is None:
        return []
    found = row.ours.problems if row.ours else ()
    if not found and figure.mean is None:
        found = comparison.problems
    return [problem for problem in found if _concerns(problem, figure, comparison.table)]


def _departures(comparison: Comparison, figure: Figure) -> list[str]:
    """What concerns a figure of ours; counted multiply-adds depend on no data."""
    if figure.mean is None or figure.metric == "multiply_adds":
        return []
    return [d for d in comparison.departures if _concerns(d, figure, comparison.table)]


def _concerns(problem: str, figure: Figure, table: PaperTable) -> bool:
    """Whether a problem is this benchmark's; one that names none of them is everybody's."""
    # A name inside a path or another name ("sims-authors") is still that benchmark's.
    words = set(re.findall(r"[a-z0-9]+", problem.lower()))
    named = words & set(table.benchmarks)
    return not named or figure.column.benchmark in named


def _number(value: float | None) -> str:
    return "" if value is None else f"{round(value, 6) + 0.0:.6f}".rstrip("0").rstrip(".")


def _text(value: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if value.startswith(_FORMULA_STARTS) else value


def comparison_markdown(comparison: Comparison) -> str:
    """A GitHub table with ours in bold, and the remarks beneath."""
    table = comparison.table
    several = len(table.benchmarks) > 1 and len(table.benchmarks) < len(table.columns)
    names = [
        f"{benchmark_name(column.benchmark)} {column.name}" if several else column.name
        for column in table.columns
    ]
    title = f"**{_md(heading(table))}**" + ("" if comparison.complete else " (not complete)")
    lines = [title + (f" ({_md(DEPARTS)})" if comparison.departures else ""), ""]
    lines += [_md_row(["", *map(_md, names)]), _md_row(["---", *["---"] * len(names)])]
    for group in groups(comparison, range(len(table.columns))):
        lines += [
            _md_row([_md_name(line), *(_md_cell(c, line) for c in line.cells)]) for line in group
        ]
    found = remarks(comparison)
    strong = [f"- **{_md(r.text)}**" for r in found if r.kind == "departure"]
    calm = [f"- {_md(r.text)}" for r in found if r.kind not in ("departure", "problem")]
    lines += ["", *strong, *calm]
    lines += _md_problems([r for r in found if r.kind == "problem"])
    return "\n".join(lines).rstrip("\n") + "\n"


def _md_problems(problems: Sequence[Remark]) -> list[str]:
    if not problems:
        return []
    return ["", f"**Missing ({len(problems)}):**", "", *(f"- {_md(p.text)}" for p in problems)]


def _md_name(line: Line) -> str:
    source = f" <sup>{_md(line.source)}</sup>" if line.source else ""
    return _bold(_md(line.name), line) + source


def _md_cell(cell: tuple[Part, ...], line: Line) -> str:
    return _bold("/".join(part.text for part in cell), line)


def _bold(text: str, line: Line) -> str:
    return f"**{text}**" if line.kind == "ours" and text != NOTHING else text


def _md_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _md(text: str) -> str:
    """Text as it is: nothing in it becomes a mark; an underscore inside a word is none anyway."""
    text = " ".join(text.split())
    text = re.sub(r"([\\`*\[\]<>|~&])", r"\\\1", text)
    text = re.sub(r"^(\d*)([-+#.)])", r"\1\\\2", text)  # a list or a heading
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)

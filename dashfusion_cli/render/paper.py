"""A table of the paper beside ours, for a terminal or as JSON."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from dashfusion_cli.render.plain import Look, drawn, new_table, safe
from dashfusion_training.paper.comparison import Comparison
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

__all__ = ["comparison_table"]

_STYLES = {"paper": "", "ours": "bold", "std": "", "difference": "dim"}
_WORD_FOR_ASCII = str.maketrans({
    "±": "+-", "²": "^2", "λ": "lambda", "τ": "tau", "≥": ">=", "≤": "<=", "·": "-", "…": "...",
    "\N{MULTIPLICATION SIGN}": "x", "\N{MINUS SIGN}": "-", "\N{EN DASH}": "-", "\N{EM DASH}": "-",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'", "“": '"', "”": '"',
})  # fmt: skip

Cut = Sequence[Sequence[int]]  # the columns of each table that stands under another


@dataclass(frozen=True)
class _Way:
    """How a table is set: the parts of a cell on lines of their own, or the deviations."""

    broken: bool = False
    std_apart: bool = False
    tight: bool = False  # one space between columns


def comparison_table(comparison: Comparison, look: Look) -> str:
    """Return the table with its remarks, as wide as the look allows, ending in a line end.

    Where the columns do not fit, the two figures of a cell go on two lines; then each benchmark
    gets its own table; then deviations get a line of their own.
    """
    title = Text(_say(heading(comparison.table), look), style="bold")
    if not comparison.complete:
        title.append(" (not complete, see below)", style="bold red")
    if comparison.departures:
        title.append(f" ({DEPARTS})", style="bold yellow")
    cut, way = _layout(comparison, look)
    things: list[RenderableType] = [title]
    for columns in cut:
        things.append(Text())
        if len(cut) > 1:
            name = benchmark_name(comparison.table.columns[columns[0]].benchmark)
            things.append(Text(name, style="bold"))
        things.append(_table(comparison, columns, look, way))
    return drawn(look, *things, *_beneath(remarks(comparison), look))


def _layout(comparison: Comparison, look: Look) -> tuple[Cut, _Way]:
    """The first way to set the table that is not wider than the place."""
    every = range(len(comparison.table.columns))
    whole = [list(every)]
    by_benchmark = [
        [k for k in every if comparison.table.columns[k].benchmark == benchmark]
        for benchmark in comparison.table.benchmarks
    ]
    inline, broken = _Way(), _Way(broken=True)
    apart, tight = _Way(std_apart=True), _Way(std_apart=True, tight=True)

    def fits(cut: Cut, way: _Way) -> bool:
        return all(_width(_table(comparison, c, look, way)) <= look.width for c in cut)

    for cut, way in (
        *((cut, way) for cut in (whole, by_benchmark) for way in (inline, broken)),
        *((cut, way) for way in (apart, tight) for cut in (whole, by_benchmark)),
    ):
        if fits(cut, way):
            return cut, way
    return _pieces(by_benchmark, lambda piece: fits([piece], tight)), tight


def _pieces(cut: Cut, fits: Callable[[Sequence[int]], bool]) -> Cut:
    """Cut further, each piece as long as fits; one column is the least."""
    found: list[list[int]] = []
    for columns in cut:
        piece: list[int] = []
        for column in columns:
            if piece and not fits([*piece, column]):
                found.append(piece)
                piece = []
            piece.append(column)
        found.append(piece)
    return found


def _width(table: Table) -> int:
    """Columns of a terminal that the table would like to have."""
    return Console(width=1000, color_system=None).measure(table).maximum


def _table(comparison: Comparison, columns: Sequence[int], look: Look, way: _Way) -> Table:
    table = new_table(look)
    table.show_edge = False
    if way.tight:
        table.padding = (0, 0)
    letters = any(row.paper.source for row in comparison.rows)
    table.add_column("", overflow="fold")
    if letters:
        table.add_column("", style="dim", no_wrap=True)
    for name in _heads(comparison, columns):
        table.add_column(_say(name, look), no_wrap=True)
    found = groups(comparison, columns, std_apart=way.std_apart)
    airy = any(len(group) > 1 for group in found)
    for group in found:
        for line in group:
            cells = [_cell(cell, line, look, broken=way.broken) for cell in line.cells]
            first = Text(_say(line.name, look), style=_STYLES[line.kind])
            table.add_row(first, *([_say(line.source, look)] if letters else []), *cells)
        if airy:
            table.add_section()
    return table


def _heads(comparison: Comparison, columns: Sequence[int]) -> list[str]:
    """The names of columns; above the first of each benchmark, its name, where there are several.

    A table whose columns are the benchmarks has them as names already.
    """
    chosen = [comparison.table.columns[k] for k in columns]
    benchmarks = [column.benchmark for column in chosen]
    if len(set(benchmarks)) in (1, len(chosen)):
        return [column.name for column in chosen]
    return [
        f"{benchmark_name(column.benchmark) if first else ''}\n{column.name}"
        for column, first in zip(
            chosen, [b not in benchmarks[:k] for k, b in enumerate(benchmarks)], strict=True
        )
    ]


def _cell(cell: tuple[Part, ...], line: Line, look: Look, *, broken: bool) -> Text:
    """The parts between slashes; those with deviations on a line each if `broken`."""
    between = "/\n" if broken and line.kind == "ours" else "/"
    text = Text(style=_STYLES[line.kind])
    for number, part in enumerate(cell):
        style = {None: "", True: "not dim green", False: "not dim red"}[part.better]
        text.append(between if number else "")
        text.append(_say(part.text, look), style=style)
    return text


def _beneath(found: Sequence[Remark], look: Look) -> list[RenderableType]:
    """Remarks with a hanging indent; problems last, under their own name."""
    strong = [("!", r.text, "bold yellow") for r in found if r.kind == "departure"]
    calm = strong + [("-", r.text, "") for r in found if r.kind not in ("departure", "problem")]
    problems = [("!", r.text, "bold yellow") for r in found if r.kind == "problem"]
    things: list[RenderableType] = [Text(), _list(calm, look)] if calm else []
    if problems:
        things += [Text(), Text(f"Missing ({len(problems)}):", style="bold red")]
        things.append(_list(problems, look))
    return things


def _list(lines: Sequence[tuple[str, str, str]], look: Look) -> Table:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for mark, text, style in lines:
        grid.add_row(Text(mark, style=style), Text(_say(text, look), style=style))
    return grid


def _say(text: str, look: Look) -> str:
    """Text that the place can show; signs that ASCII lacks are spelt before they are measured."""
    lines = (text.translate(_WORD_FOR_ASCII) if look.ascii_only else text).split("\n")
    return "\n".join(safe(line, look) for line in lines)

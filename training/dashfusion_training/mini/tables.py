"""Tables of figures as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from dashfusion_training.mini.bench import Measured

__all__ = ["interval_text", "markdown", "measured_table", "number_text"]


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; a bar inside a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def number_text(value: float | None, interval: tuple[float, float] | None = None) -> str:
    """Three decimals, with the interval behind it where there is one; a dash for None."""
    if value is None:
        return "-"
    return f"{value:.3f} {interval_text(interval)}" if interval else f"{value:.3f}"


def interval_text(interval: tuple[float, float] | None) -> str:
    """[low, high] with three decimals, a dash for None."""
    return f"[{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "-"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def measured_table(rows: Sequence[Measured]) -> str:
    """Return a table of measured rows, with a column for each value that any row has."""
    names = list(dict.fromkeys(name for row in rows for name in row.values))
    return markdown(
        ("", "source", "n", "of", *names),
        [
            (
                row.what,
                row.source,
                f"{row.n:,}",
                f"{row.over:,}",
                *(
                    number_text(row.values[name], row.intervals.get(name))
                    if name in row.values
                    else ""
                    for name in names
                ),
            )
            for row in rows
        ],
    )

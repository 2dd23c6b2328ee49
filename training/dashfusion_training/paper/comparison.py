"""A table of the paper beside what our trainings gave: the record that `reproduce` ends in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dashfusion_training.paper.published import PaperColumn, PaperRow, PaperTable

__all__ = ["ComparedRow", "Comparison", "Figure", "Ours", "figures_of", "parts", "shown"]

SCHEMA = "dashfusion/reproduction/1"
NOTHING = "-"  # as the paper prints it

Metrics = Mapping[str, float | None]


@dataclass(frozen=True, kw_only=True)
class Ours:
    """What the finished trainings of one row gave, by benchmark.

    `mean` and `std` (n - 1) hold accuracies as fractions; `std` is None where there is one seed.
    `problems` say in words why a benchmark is missing, or a seed.
    """

    seeds: Mapping[str, tuple[int, ...]]
    mean: Mapping[str, Metrics]
    std: Mapping[str, Metrics]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class ComparedRow:
    """A row of the paper and, where we ran it, ours."""

    paper: PaperRow
    ours: Ours | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A whole table.

    `departures` say in what our trainings are not the paper's, so that nobody takes their figures
    for it: other data, other settings. `facts` are lines that need no data, such as counted
    parameters; `problems` say what is missing.
    """

    table: PaperTable
    rows: tuple[ComparedRow, ...]
    departures: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)  # data, versions, folders of the runs

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.problems and not any(r.ours and r.ours.problems for r in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form (schema dashfusion/reproduction/1): finite numbers and None.

        Numbers are in the units of the columns ("percent", "millions"), rounded to 6 decimals.
        """
        table = self.table
        return {
            "schema": SCHEMA,
            "table": table.name,
            "title": table.title,
            "complete": self.complete,
            "rows": [_row_dict(table, row) for row in self.rows],
            "sources": dict(table.sources),
            "notes": list(table.notes),
            "departures": list(self.departures),
            "facts": list(self.facts),
            "problems": list(self.problems),
            "origin": _plain(self.origin),
        }


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One metric of one row on one benchmark: as printed, and ours in the unit of the column.

    `mean` is None where it was not run or is not defined, `std` also where there is one seed.
    """

    column: PaperColumn
    metric: str
    printed: str  # "-" where nothing is printed
    mean: float | None
    std: float | None
    seeds: tuple[int, ...]

    @property
    def published(self) -> float | None:
        """What is printed, as a number in the unit of the column."""
        text = self.printed.replace(",", "").removesuffix("M")
        return None if text in ("", NOTHING) else float(text)

    @property
    def difference(self) -> float | None:
        """Ours less the paper's."""
        if self.mean is None or self.published is None:
            return None
        return self.mean - self.published

    @property
    def lower_is_better(self) -> bool | None:
        """Which way is better; None for what is only counted."""
        if self.metric in ("samples", "multiply_adds"):
            return None
        return self.metric == "mae"


def figures_of(row: ComparedRow, number: int, column: PaperColumn) -> tuple[Figure, ...]:
    """The figures of one cell, the one of column `number`: as many as the column has metrics."""
    ours, where = row.ours, column.benchmark
    printed = parts(row.paper.cells[number], len(column.metrics))
    return tuple(
        Figure(
            column=column,
            metric=metric,
            printed=text,
            mean=_in_unit(column, ours.mean if ours else {}, metric),
            std=_in_unit(column, ours.std if ours else {}, metric),
            seeds=tuple(ours.seeds.get(where, ())) if ours else (),
        )
        for metric, text in zip(column.metrics, printed, strict=True)
    )


def parts(cell: str, count: int) -> tuple[str, ...]:
    """The parts of a printed cell; "-" for each where a cell of several has nothing printed."""
    return (NOTHING,) * count if cell == NOTHING else tuple(cell.split("/"))


def shown(column: PaperColumn, value: float) -> float:
    """A value of ours in the unit of the column."""
    return value * {"percent": 100.0, "millions": 1e-6, "": 1.0}[column.unit]


def _in_unit(column: PaperColumn, found: Mapping[str, Metrics], metric: str) -> float | None:
    value = found.get(column.benchmark, {}).get(metric)
    return None if value is None or not math.isfinite(value) else shown(column, value)


def _row_dict(table: PaperTable, row: ComparedRow) -> dict[str, Any]:
    paper, ours = row.paper, row.ours
    return {
        "method": paper.method,
        "source": paper.source or None,
        "changes": None if paper.changes is None else _plain(paper.changes),
        "figures": [
            {
                "benchmark": column.benchmark,
                "name": column.name,
                "metric": figure.metric,
                "unit": column.unit,
                "printed": figure.printed,
                "published": _rounded(figure.published),
                "mean": _rounded(figure.mean),
                "std": _rounded(figure.std),
                "difference": _rounded(figure.difference),
            }
            for number, column in enumerate(table.columns)
            for figure in figures_of(row, number, column)
        ],
        "seeds": {name: list(seeds) for name, seeds in ours.seeds.items()} if ours else {},
        "problems": list(ours.problems) if ours else [],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6) + 0.0


def _plain(value: Any) -> Any:
    """Turn what `origin` and `changes` hold into JSON's types."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)

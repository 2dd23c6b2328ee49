"""A report of `eval` as a table, JSON or CSV, and its predictions as CSV."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from dashfusion_training.evaluate import Report

__all__ = ["predictions_csv", "report_csv", "report_json", "report_table"]


def report_json(report: Report) -> bytes:
    """One line of JSON."""
    return (json.dumps(report.to_dict(), allow_nan=False) + "\n").encode()


def report_csv(report: Report, *, header: bool) -> bytes:
    """A line for each metric: dataset, split, n, metric, value, low, high."""
    rows: list[Sequence[Any]] = [("dataset", "split", "n", "metric", "value", "low", "high")]
    for name, value in report.metrics.items():
        low, high = report.intervals.get(name) or ("", "")
        rows.append((report.dataset, report.split, report.n, name, _cell(value), low, high))
    return _csv(rows if header else rows[1:])


def predictions_csv(report: Report, *, header: bool) -> bytes:
    """A line for each sample: id, label, prediction."""
    rows: list[Sequence[Any]] = [("id", "label", "prediction")]
    rows += [(p.id, p.label, round(p.prediction, 4)) for p in report.predictions]
    return _csv(rows if header else rows[1:])


def report_table(report: Report) -> bytes:
    """Aligned lines for a person to read."""
    lines = [
        f"{report.dataset}, {report.split}: {report.n} samples, {report.checkpoint}, "
        f"from {', '.join(report.modalities)}"
    ]
    for name, value in report.metrics.items():
        interval = report.intervals.get(name)
        between = f"   95 % [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
        lines.append(f"  {name:<18} {'-' if value is None else f'{value:.4f}':>8}{between}")
    return ("\n".join(lines) + "\n").encode()


def _csv(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"

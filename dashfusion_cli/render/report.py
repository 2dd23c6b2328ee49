"""A report of `eval` as a table, JSON or CSV, and its predictions as CSV."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from dashfusion_training.evaluate import Report
from dashfusion_training.missing import MissingReport, MissingRow

__all__ = ["predictions_csv", "report_csv", "report_json", "report_table"]

_MEAN = "mean"
_WIDEST = 80  # columns
_MEANINGS = {
    "mae": "mean absolute error",
    "corr": "Pearson correlation",
    "acc7": "accuracy over 7 classes",
    "acc5": "accuracy over 5 classes",
    "acc3": "accuracy over 3 classes",
    "acc2": "accuracy, positive against not positive",
    "f1": "weighted F1, positive against not positive",
    "acc2_nn": "accuracy, negative against non-negative",
    "f1_nn": "weighted F1, negative against non-negative",
    "acc2_np": "accuracy, negative against positive (0 left out)",
    "f1_np": "weighted F1, negative against positive (0 left out)",
    "auc": "area under the ROC curve, negative against positive",
    "balanced_accuracy": "mean recall of negative and positive",
}
_ORIGIN = ("file", "video_id", "clip_id", "text", "start_s", "end_s")


def report_json(report: Report | MissingReport) -> bytes:
    """One line of JSON."""
    return (json.dumps(report.to_dict(), allow_nan=False) + "\n").encode()


def report_csv(report: Report | MissingReport, *, header: bool) -> bytes:
    """A line for each metric: dataset, split, n, metric, value, low, high.

    With missing data a line for each metric of each row and of the mean: dataset, split, n, rate
    or modalities, metric, value.
    """
    if isinstance(report, MissingReport):
        return _missing_csv(report, header=header)
    rows: list[Sequence[Any]] = [("dataset", "split", "n", "metric", "value", "low", "high")]
    for name, value in report.metrics.items():
        low, high = report.intervals.get(name) or ("", "")
        rows.append((report.dataset, report.split, report.n, name, _cell(value), low, high))
    return _csv(rows if header else rows[1:])


def _missing_csv(report: MissingReport, *, header: bool) -> bytes:
    what = "rate" if report.protocol == "random" else "modalities"
    rows: list[Sequence[Any]] = [("dataset", "split", "n", what, "metric", "value")]
    for row in (*report.rows, None):
        where = (report.dataset, report.split, report.n, _MEAN if row is None else _name(row))
        metrics = report.metrics if row is None else row.metrics
        rows += [(*where, name, _cell(value)) for name, value in metrics.items()]
    return _csv(rows if header else rows[1:])


def predictions_csv(report: Report | MissingReport, *, header: bool) -> bytes:
    """A line for each sample: id, label, prediction, and what finds the sample where it came from.

    With missing data a line for each sample of each case, and the case: rate and seed (empty where
    nothing was lost), or the modalities that were left.
    """
    columns: tuple[str, ...] = ("id", "label", "prediction", *_ORIGIN)
    if isinstance(report, MissingReport):
        columns += ("rate", "seed") if report.protocol == "random" else ("modalities",)
    rows = [[_plain(name, getattr(one, name)) for name in columns] for one in report.predictions]
    return _csv([columns, *rows] if header else rows)


def _plain(name: str, value: Any) -> Any:
    """What stands in a cell; the writer leaves a cell of None empty."""
    if name == "prediction":
        return round(value, 4)
    return "+".join(value) if isinstance(value, tuple) else value


def report_table(report: Report | MissingReport, *, legend: bool) -> bytes:
    """Aligned lines for a person to read, of at most 80 columns; with what the metrics mean."""
    head = f"{report.dataset}, {report.split}: {report.n} samples, {report.checkpoint}"
    if isinstance(report, MissingReport):
        lines = [head, *_missing_lines(report)]
    else:
        lines = [f"{head}, from {', '.join(report.modalities)}", *_metric_lines(report)]
    if legend:
        left = max(map(len, report.metrics))
        lines += ["", *(f"  {name:<{left}}  {_MEANINGS[name]}" for name in report.metrics)]
    return ("\n".join(lines) + "\n").encode()


def _metric_lines(report: Report) -> list[str]:
    """A line a metric: its name, its value, its interval."""
    left = max(map(len, report.metrics))
    lines = [f"  {'metric':<{left}}  {'value':>7}  {'95 % interval' if report.intervals else ''}"]
    for name, value in report.metrics.items():
        low_high = report.intervals.get(name)
        interval = f"{low_high[0]:.3f} to {low_high[1]:.3f}" if low_high else ""
        lines.append(f"  {name:<{left}}  {_number(value):>7}  {interval}")
    return [line.rstrip() for line in lines]


def _missing_lines(report: MissingReport) -> list[str]:
    """A line a row, metrics as columns, the mean last; what is too wide goes below."""
    if report.protocol == "random":
        seeds = ", ".join(map(str, report.mask_seeds))
        lines = [f"steps lost at random, mean of mask seeds {seeds}"]
    else:
        lines = ["from some modalities only"]
    rows = {_name(row): row.metrics for row in report.rows} | {_MEAN: report.metrics}
    left = max(map(len, rows))
    what = "rate" if report.protocol == "random" else ""
    for number, names in enumerate(_side_by_side(list(report.metrics), _WIDEST - 2 - left)):
        lines += [""] * (number > 0)
        heads = "".join(f" {name:>{_width(name)}}" for name in names)
        lines.append(f"  {what:<{left}}{heads}")
        for row, metrics in rows.items():
            cells = "".join(f" {_number(metrics[name]):>{_width(name)}}" for name in names)
            lines.append(f"  {row:<{left}}{cells}")
    return lines


def _side_by_side(names: Sequence[str], room: int) -> list[list[str]]:
    """Deal names of columns to tables that are no wider than there is room."""
    tables: list[list[str]] = []
    for name in names:
        used = sum(1 + _width(other) for other in tables[-1]) if tables else room
        if tables and used + 1 + _width(name) <= room:
            tables[-1].append(name)
        else:
            tables.append([name])
    return tables


def _width(name: str) -> int:
    return max(len("-0.1234" if name == "corr" else "0.1234"), len(name))


def _name(row: MissingRow) -> str:
    """What a row stands for: its rate, or its modalities joined."""
    return f"{row.rate:.1f}" if row.modalities is None else "+".join(row.modalities)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _csv(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"

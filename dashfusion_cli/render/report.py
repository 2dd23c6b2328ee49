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


def report_table(report: Report | MissingReport) -> bytes:
    """Aligned lines for a person to read."""
    head = f"{report.dataset}, {report.split}: {report.n} samples, {report.checkpoint}, "
    if isinstance(report, MissingReport):
        lines = _missing_lines(report, head)
    else:
        lines = [head + f"from {', '.join(report.modalities)}"]
        for name, value in report.metrics.items():
            interval = report.intervals.get(name)
            between = f"   95 % [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
            lines.append(f"  {name:<18} {_number(value):>8}{between}")
    return ("\n".join(lines) + "\n").encode()


def _missing_lines(report: MissingReport, head: str) -> list[str]:
    """A line a row, metrics as columns, the mean last."""
    if report.protocol == "random":
        seeds = ", ".join(map(str, report.mask_seeds))
        lines = [head + f"steps lost at random (mean of mask seeds {seeds})"]
    else:
        lines = [head + "from some modalities only"]
    names = [*map(_name, report.rows), _MEAN]
    widths = {metric: max(8, len(metric)) for metric in report.metrics}
    left = max(map(len, names))
    heads = "".join(f"  {metric:>{width}}" for metric, width in widths.items())
    lines.append(f"  {'rate' if report.protocol == 'random' else '':<{left}}{heads}")
    for name, metrics in zip(
        names, [*(r.metrics for r in report.rows), report.metrics], strict=True
    ):
        cells = "".join(f"  {_number(metrics[m]):>{width}}" for m, width in widths.items())
        lines.append(f"  {name:<{left}}{cells}")
    return lines


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

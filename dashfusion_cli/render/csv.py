"""Analyses as CSV (RFC 4180): a line a segment."""

import csv
import io
from collections.abc import Sequence

from dashfusion_models.analysis import Analysis, Segment

__all__ = ["COLUMNS", "render_csv"]

COLUMNS = (
    "path",
    "start_s",
    "end_s",
    "speaker",
    "text",
    "score",
    "label",
    "low",
    "high",
    "text_contribution",
    "audio_contribution",
    "vision_contribution",
    "reasons",
)

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def render_csv(analysis: Analysis, *, header: bool) -> bytes:
    """Return the segments of one analysis as CSV in UTF-8, with the column names if `header`."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    if header:
        writer.writerow(COLUMNS)
    writer.writerows(_row(str(analysis.media.path), segment) for segment in analysis.segments)
    return text.getvalue().encode("utf-8", "replace")


def _row(path: str, segment: Segment) -> Sequence[str]:
    low, high = segment.interval or (None, None)
    parts = segment.contributions
    return (
        _text(path),
        _number(segment.start_s),
        _number(segment.end_s),
        _text(segment.speaker),
        _text(segment.text),
        _number(segment.score),
        _text(segment.label),
        _number(low),
        _number(high),
        _number(parts.text),
        _number(parts.audio),
        _number(parts.vision),
        _text(" ".join(segment.reasons)),
    )


def _number(value: float | None) -> str:
    """Round as the JSON does; empty where there is none."""
    return "" if value is None else str(round(value, 4) + 0.0)


def _text(value: str | None) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    return f"'{value}" if value.startswith(_FORMULA_STARTS) else value

"""Analyses as CSV (RFC 4180): a line a segment.

Rows are made of the JSON form, so that those of a file just analysed and those read again from
results are the same.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dashfusion_cli.render.wording import (
    signed,
    strongest,
    without_controls,
    without_in,
    without_turning,
)
from dashfusion_models.analysis import Analysis
from dashfusion_models.records import MODALITIES

__all__ = ["COLUMNS", "csv_bytes", "csv_number", "csv_text", "render_csv", "segment_rows"]

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
    "segment",
    "speech_confidence",
    "text_present",
    "audio_present",
    "vision_present",
    "model",
    "model_sha256",
    "without",
    "base",
    "text_alone",
    "audio_alone",
    "vision_alone",
    "strongest_words",
    "context_contribution",
)

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def render_csv(analysis: Analysis, *, header: bool) -> bytes:
    """Return the segments of one analysis as CSV in UTF-8, with the column names if `header`."""
    rows = segment_rows(analysis.to_dict())
    return csv_bytes([COLUMNS, *rows] if header else rows)


def csv_bytes(rows: Iterable[Sequence[str]]) -> bytes:
    """Return rows of cells as they stand in a file."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode("utf-8", "replace")


def segment_rows(record: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    """Yield the rows of one analysis in its JSON form; segments are numbered from 1."""
    model, without = record["model"], csv_text(" ".join(without_in(record)))
    for number, segment in enumerate(record["segments"], start=1):
        low, high = segment["interval"] or (None, None)
        parts, present = segment["contributions"], segment["present"]
        yield (
            csv_text(record["media"]["path"]),
            csv_number(segment["start_s"]),
            csv_number(segment["end_s"]),
            csv_text(segment["speaker"]),
            csv_text(segment["text"]),
            csv_number(segment["score"]),
            csv_text(segment["label"]),
            csv_number(low),
            csv_number(high),
            csv_number(parts["text"]),
            csv_number(parts["audio"]),
            csv_number(parts["vision"]),
            csv_text(" ".join(segment["reasons"])),
            str(number),
            csv_number(segment["speech_confidence"]),
            csv_number(present["text"]),
            csv_number(present["audio"]),
            csv_number(present["vision"]),
            csv_text(model["name"]),
            csv_text(model["sha256"]),
            without,
            csv_number(segment.get("base")),
            *(csv_number(segment.get("alone", {}).get(m)) for m in MODALITIES),
            csv_text(_strongest_words(segment, model["label_range"])),
            csv_number(segment.get("context_contribution")),
        )


def _strongest_words(segment: Mapping[str, Any], scale: tuple[float, float]) -> str:
    """Write the three words of largest contribution, as "loved +0.8; never -0.3"."""
    words = [(w["text"], w["contribution"]) for w in segment.get("words", ())]
    low, high = scale
    return "; ".join(f"{text} {signed(part, (low, high))}" for text, part in strongest(words))


def csv_number(value: float | None) -> str:
    """Round as the JSON does; empty where there is none."""
    return "" if value is None else str(round(value, 4) + 0.0)


def csv_text(value: str | None) -> str:
    """Return a cell that no spreadsheet takes for a formula, and no terminal for an order."""
    if value is None:
        return ""
    text = without_controls(value)
    return f"'{text}" if without_turning(text).startswith(_FORMULA_STARTS) else text

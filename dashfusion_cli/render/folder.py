"""The tables of a folder of results: `summary.csv`, a line a file, and `segments.csv`."""

from collections.abc import Mapping, Sequence
from typing import Any

from dashfusion_cli.render.csv import csv_number, csv_text
from dashfusion_cli.render.wording import without_in

__all__ = ["SUMMARY_COLUMNS", "face_share", "summary_row"]

SUMMARY_COLUMNS = (
    "path",
    "status",
    "duration_s",
    "language",
    "score",
    "label",
    "low",
    "high",
    "n_segments",
    "face_share",
    "warnings",
    "error",
)


def summary_row(record: Mapping[str, Any]) -> Sequence[str]:
    """Return the line of one file, analysed or failed."""
    path = csv_text(record["media"]["path"])
    if "error" in record:
        blank = [""] * (len(SUMMARY_COLUMNS) - 3)
        return (path, "failed", *blank, csv_text(record["error"]["message"]))
    overall, segments = record["overall"], record["segments"]
    low, high = overall["interval"] or (None, None)
    return (
        path,
        "done",
        csv_number(record["media"]["duration_s"]),
        csv_text((record["language"] or {}).get("code")),
        csv_number(overall["score"]),
        csv_text(overall["label"]),
        csv_number(low),
        csv_number(high),
        str(len(segments)),
        csv_number(face_share(record)),
        csv_text("; ".join(record["warnings"])),
        "",
    )


def face_share(record: Mapping[str, Any]) -> float | None:
    """Share of the scored time in which a face was seen (of an image's one moment too).

    None where faces were left out.
    """
    if "vision" in without_in(record):
        return None
    segments = [s for s in record["segments"] if s["score"] is not None]
    weights: list[float] = [max(s["end_s"] - s["start_s"], 1e-6) for s in segments]
    shares = [float(s["present"]["vision"]) for s in segments]
    return sum(s * w for s, w in zip(shares, weights, strict=True)) / sum(weights)

"""The tables of a folder of results: `summary.csv`, a line a file, and `segments.csv`."""

from collections.abc import Mapping, Sequence
from typing import Any

from dashfusion_cli.render.csv import csv_number, csv_text
from dashfusion_cli.render.wording import without_in
from dashfusion_models.records import MODALITIES

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
    "text_contribution",
    "audio_contribution",
    "vision_contribution",
    "model",
    "model_sha256",
    "base",
    "text_alone",
    "audio_alone",
    "vision_alone",
)


def summary_row(record: Mapping[str, Any]) -> Sequence[str]:
    """Return the line of one file, analysed or failed."""
    path = csv_text(record["media"]["path"])
    if "error" in record:
        known = {"path": path, "status": "failed", "error": csv_text(record["error"]["message"])}
        return tuple(known.get(name, "") for name in SUMMARY_COLUMNS)
    overall, segments = record["overall"], record["segments"]
    parts, model = overall["contributions"], record["model"]
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
        csv_number(parts["text"]),
        csv_number(parts["audio"]),
        csv_number(parts["vision"]),
        csv_text(model["name"]),
        csv_text(model["sha256"]),
        csv_number(overall.get("base")),
        *(csv_number(overall.get("alone", {}).get(m)) for m in MODALITIES),
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

"""A folder of results as one HTML file: a table to sort and to filter, a small curve a file."""

from collections.abc import Mapping, Sequence
from typing import Any

from dashfusion_cli.render.folder import face_share
from dashfusion_cli.render.page_shell import fill_page, json_inside
from dashfusion_cli.render.sign_colors import Sign, sign_of
from dashfusion_cli.render.wording import left_out, part_in, without_in
from dashfusion_models.analysis import label_of

__all__ = ["index_row", "render_index"]

_STYLES = ("common.css", "index.css")
_SCRIPTS = ("theme.js", "steps.js", "table.js", "scores.js", "index.js")
_CURVE_STEPS = 60  # of a small curve; more cannot be seen

Row = dict[str, Any]

_SIDES: Mapping[Sign, int] = {"negative": -1, "neutral": 0, "positive": 1}


def index_row(record: Mapping[str, Any], *, path: str, report: str | None) -> Row:
    """Return what the index says of one record, analysed or failed.

    Args:
        record: a line of results.
        path: how the file is called below its folder.
        report: the address of its page, relative to the index; None where it failed.
    """
    row: Row = {"path": path, "report": report, "done": "error" not in record}
    if "error" in record:
        message = record["error"]["message"].removeprefix(f"{record['media']['path']}: ")
        return {**row, "kind": record["error"]["kind"], "error": message}
    overall, segments = record["overall"], record["segments"]
    part, without = part_in(record), without_in(record)
    wanted = [f"{part} of the clip" if part else "", left_out(without)]
    share = face_share(record)
    return {
        **row,
        "duration": record["media"]["duration_s"],
        "language": (record["language"] or {}).get("code"),
        "score": overall["score"],
        "label": overall["label"],
        "interval": overall["interval"],
        "range": record["model"]["label_range"],
        "segments": len(segments),
        "face": None if share is None else round(share, 4),
        "warnings": [*filter(None, wanted), *record["warnings"]],
        "curve": _curve(segments, record["model"]["label_range"]),
    }


def render_index(rows: Sequence[Row], *, name: str, model: str, version: str) -> bytes:
    """Return the page of a folder of results.

    Args:
        rows: what `index_row` made of each record.
        name: of the folder.
        model: which one scored, with its licence.
        version: of dashfusion.
    """
    scale = next((row["range"] for row in rows if row["done"]), [-3.0, 3.0])
    return fill_page(
        "index.html.j2",
        styles=_STYLES,
        scripts=_SCRIPTS,
        charts=True,
        media="",
        title=name,
        rows=json_inside({"rows": [_short(row) for row in rows], "range": scale}),
        labels=_labels(rows, (scale[0], scale[1])),
        columns=_COLUMNS,
        model=model,
        version=version,
    )


_COLUMNS = (  # key, name
    ("path", "file"),
    ("duration", "length"),
    ("score", "score"),
    ("curve", "curve"),
    ("label", "label"),
    ("segments", "parts"),
    ("face", "face"),
    ("language", "language"),
    ("notes", "notes"),
)


def _short(row: Row) -> Row:
    return {key: value for key, value in row.items() if value is not None and key != "range"}


def _labels(rows: Sequence[Row], scale: tuple[float, float]) -> list[str]:
    """Return the labels that occur, from the most negative on."""
    low, high = scale
    order = list(dict.fromkeys(label_of(low + (high - low) * i / 60, scale) for i in range(61)))
    found = {row["label"] for row in rows if row["done"]}
    return [label for label in order if label in found]


def _curve(segments: Sequence[Mapping[str, Any]], scale: Sequence[float]) -> list[list[float]]:
    """Return start, end, score and side (-1, 0, 1) of each step.

    A long file has means over equal stretches.
    """
    segments = [s for s in segments if s["score"] is not None]
    if len(segments) <= _CURVE_STEPS:
        return [_step(s["start_s"], s["end_s"], s["score"], s["label"]) for s in segments]
    low, high = scale
    begin, end = segments[0]["start_s"], max(s["end_s"] for s in segments)
    each = (end - begin) / _CURVE_STEPS
    weight, total = [0.0] * _CURVE_STEPS, [0.0] * _CURVE_STEPS
    for segment in segments:
        middle = (segment["start_s"] + segment["end_s"]) / 2
        place = min(_CURVE_STEPS - 1, int((middle - begin) / each))
        length_s = max(1e-6, segment["end_s"] - segment["start_s"])
        weight[place] += length_s
        total[place] += length_s * segment["score"]
    return [
        _step(begin + i * each, begin + (i + 1) * each, t / w, label_of(t / w, (low, high)))
        for i, (t, w) in enumerate(zip(total, weight, strict=True))
        if w
    ]


def _step(start_s: float, end_s: float, score: float, label: str) -> list[float]:
    return [round(start_s, 2), round(end_s, 2), round(score, 2), _SIDES[sign_of(label)]]

"""An analysis as one HTML file: the curve, the transcript and the media, each moving the others."""

import base64
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from dashfusion_cli.render.page_shell import fill_page, json_inside
from dashfusion_cli.render.page_view import (
    gaps_of,
    level_of,
    moments_of,
    parts_of,
    reach_of,
    sentences_of,
    sum_of,
)
from dashfusion_cli.render.wording import (
    EXPLAINED,
    bounds_of,
    clock,
    left_out,
    part_in,
    signed,
    without_in,
)

__all__ = ["Preview", "link_to", "render_html"]

_STYLES = ("common.css", "report.css", "transcript.css")
_SCRIPTS = ("theme.js", "steps.js", "charts.js", "player.js", "report.js")
_LINKED = "'self' file:"  # a page that was opened from a disk has no self
_INSIDE = "blob:"
_LANGUAGES = {"en": "English", "zh": "Chinese"}


@dataclass(frozen=True)
class Preview:
    """A small copy of the media that travels in the page; its first moment is `start_s`."""

    data: bytes
    kind: str  # of media, as "video/mp4"
    start_s: float = 0.0


def link_to(media: Path, page: Path | None) -> str:
    """Return the address of a file as seen from a page beside it (from here, without one)."""
    folder = Path.cwd() if page is None else page.absolute().parent
    try:
        parts = Path(os.path.relpath(media.absolute(), folder)).parts
    except ValueError:  # another drive of Windows
        return media.absolute().as_uri()
    link = "/".join(quote(os.fsencode(part), safe="") for part in parts)
    return link if parts[0] == ".." else f"./{link}"


def render_html(
    record: Mapping[str, Any],
    *,
    link: str,
    preview: Preview | None = None,
    settings: Mapping[str, str] | None = None,
    index: str | None = None,
) -> bytes:
    """Return the page of one analysis in its JSON form.

    Args:
        record: what `Analysis.to_dict` returns, or a line of results.
        link: the address of the media, relative to the page.
        preview: plays in place of what `link` names.
        settings: what was asked for beside the defaults, by the name of the option.
        index: the address of a page that lists this one.
    """
    scale = tuple(record["model"]["label_range"])
    sentences = tuple(sentences_of(record))
    kind = _kind(record)
    overall, without = record["overall"], without_in(record)
    return fill_page(
        "report.html.j2",
        styles=_STYLES,
        scripts=_SCRIPTS,
        charts=True,
        media=_INSIDE if preview is not None else _LINKED,
        title=Path(record["media"]["path"]).name,
        record=record,
        analysis=json_inside(record),
        kind=kind,
        link=link,
        preview=preview,
        preview_text=base64.b64encode(preview.data).decode("ascii") if preview else "",
        facts=_facts(record, kind),
        about=_about(record, settings or {}),
        embed_command=None if settings else _embed_command(record["media"]["path"]),
        whole=_whole(record, kind),
        without=without,
        sentences=sentences,
        moments=moments_of(sentences, record),
        gaps=gaps_of(record) if kind != "image" else {},
        score=signed(overall["score"], scale).replace("-", "\N{MINUS SIGN}"),
        level=level_of(overall["score"], overall["label"], scale),
        parts=parts_of(overall, scale, reach_of(record), without),
        sum=sum_of(overall, scale),
        explained=EXPLAINED,
        bounds=bounds_of(scale).replace("-", "\N{MINUS SIGN}"),
        has_alone="alone" in overall,
        gauge=_gauge(overall, scale),
        index=index,
    )


def _kind(record: Mapping[str, Any]) -> Literal["video", "audio", "image"]:
    """Say what plays; an image is what has pictures and no length."""
    media = record["media"]
    if not media["has_video"]:
        return "audio"
    return "video" if media["duration_s"] else "image"


def _embed_command(media: str) -> str:
    """Return the command that makes this page, of default settings, with a copy of the media."""
    path = subprocess.list2cmdline([media]) if os.name == "nt" else shlex.quote(media)
    return f"dashfusion analyze {path} --format html --embed-video --output page.html"


def _facts(record: Mapping[str, Any], kind: str) -> list[str]:
    facts = []
    if kind != "image":
        part, length = part_in(record), clock(record["media"]["duration_s"])
        facts.append(f"{part} of {length}" if part else length)
    if record["language"] is not None:
        facts.append(_language(record["language"]))
    count = sum(segment["text"] is not None for segment in record["segments"])
    if count:
        facts.append(f"{count} utterance{'s' * (count > 1)}")
    lacks = left_out(without_in(record))
    return [*facts, record["model"]["name"], *([lacks] if lacks else [])]


def _whole(record: Mapping[str, Any], kind: str) -> str:
    """Name what the score of the whole is of."""
    if kind == "image":
        return "The picture"
    part = part_in(record)
    return f"{part} of the clip" if part else "The whole clip"


def _language(language: Mapping[str, Any]) -> str:
    name = _LANGUAGES.get(language["code"], language["code"])
    share = language["probability"]
    return name if share is None else f"{name} ({share:.0%})"


def _about(record: Mapping[str, Any], settings: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what an analysis was made of and with, as names and facts."""
    media, model, asr = record["media"], record["model"], record["asr"]
    low, high = model["label_range"]
    size = f"{media['width']} x {media['height']}" if media["width"] else None
    rate = f"{media['fps']:g} pictures a second" if media["fps"] else None
    places = {name: place for name, place in record["device"].items() if place}
    facts = {
        "File": media["path"],
        "Pictures": ", ".join(fact for fact in (size, rate) if fact) or "none",
        "SHA-256 of the file": media["sha256"],
        "Model": model["name"],
        "SHA-256 of the model": model["sha256"],
        "Licence of its weights": model["license"],
        "Scale": f"{low:g} to {high:g}".replace("-", "\N{MINUS SIGN}"),
        "Speech": f"{asr['engine']}, {asr['model']}" if asr else _given(record),
        "Language": _language(record["language"]) if record["language"] else "none",
        "Ran on": ", ".join(f"{name}: {place}" for name, place in places.items()),
        "Settings": ", ".join(f"{n} {v}".strip() for n, v in settings.items()) or "the defaults",
        "Made by": f"dashfusion {record['tool']['version']}",
    }
    return list(facts.items())


def _given(record: Mapping[str, Any]) -> str:
    """Say where words came from that were not recognised."""
    transcript = record.get("run", {}).get("transcript")
    return f"transcript {Path(transcript).name}" if transcript else "not recognised"


def _gauge(overall: Mapping[str, Any], scale: Sequence[float]) -> dict[str, Any]:
    """Place score and interval of the whole on a line 300 long."""
    low, high = scale

    def place(value: float) -> float:
        return round(10 + 280 * (min(high, max(low, value)) - low) / (high - low), 1)

    interval = overall["interval"]
    step = 1.0 if high - low > 2 else 0.5
    ticks = [low + step * i for i in range(round((high - low) / step) + 1)]
    return {
        "score": place(overall["score"]),
        "zero": place(0.0),
        "low": place(interval[0]) if interval else None,
        "high": place(interval[1]) if interval else None,
        "interval": [signed(v, (low, high)).replace("-", "\N{MINUS SIGN}") for v in interval or ()],
        "ticks": [(place(v), f"{v:+g}".replace("-", "\N{MINUS SIGN}") if v else "0")
                  for v in ticks],
    }  # fmt: skip

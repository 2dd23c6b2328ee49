"""What a page shows of an analysis in its JSON form: words for numbers, and lengths of bars."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashfusion_cli.render.sign_colors import sign_of
from dashfusion_cli.render.wording import (
    NAMES,
    REASONS,
    UNSCORED,
    clock,
    signed,
    sum_in_words,
    without_in,
)

__all__ = ["Gap", "Part", "Piece", "Sentence", "gaps_of", "level_of", "moments_of", "parts_of",
           "reach_of", "sentences_of", "sum_of"]  # fmt: skip

Record = Mapping[str, Any]

LEVELS = 6  # shades on each side of nothing
_TINTS = 3  # of words
_MOMENTS = 3  # on each side
_WORTH_TELLING_S = 2.0  # as long as a silent stretch must be to be scored


@dataclass(frozen=True)
class Part:
    """What one modality contributed: in words, and as a bar from the middle (0) to an end (1).

    Where `value` is None, `lack` says why.
    """

    name: str
    value: str | None
    share: float  # in [-1, 1]
    lack: str = "absent"
    alone: str | None = None  # the score from it by itself


@dataclass(frozen=True)
class Piece:
    """Some of a text; `start_s` where it is a word whose time is known.

    `tint` is the shade of what a word contributed, from -3 to 3, and `part` the same in words.
    """

    text: str
    start_s: float | None
    tint: int = 0
    part: str | None = None


@dataclass(frozen=True)
class Sentence:
    """One utterance, as a line of the transcript; `silence` stands where there is no `text`."""

    number: int
    start_s: float
    end_s: float
    time: str
    until: str
    speaker: str | None
    text: str | None
    silence: str
    pieces: tuple[Piece, ...]
    score: str
    label: str
    level: int
    interval: str | None
    parts: tuple[Part, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Gap:
    """A stretch in which something was missing."""

    start_s: float
    time: str
    until: str


def sentences_of(record: Record) -> Iterator[Sentence]:
    """Yield the lines of the transcript."""
    scale = _scale(record)
    reach, of_words = reach_of(record), _reach_of_words(record)
    without = without_in(record)
    for number, segment in enumerate(record["segments"]):
        known = _tinted(segment.get("words", ()), of_words, scale)
        score = segment["score"]
        unread = "text" in without and "no_speech" not in segment["reasons"]
        yield Sentence(
            number=number,
            start_s=segment["start_s"],
            end_s=segment["end_s"],
            time=clock(segment["start_s"]),
            until=clock(segment["end_s"]),
            speaker=segment["speaker"],
            text=segment["text"],
            silence="(words left out)" if unread else "(nobody speaks)",
            pieces=tuple(_pieces(segment["text"] or "", known)),
            score="–" if score is None else _minus(signed(score, scale)),  # noqa: RUF001
            label=UNSCORED if score is None else segment["label"],
            level=0 if score is None else level_of(score, segment["label"], scale),
            interval=_interval(segment["interval"], scale),
            parts=parts_of(segment, scale, reach, without),
            notes=tuple(_notes(segment, without, scale)),
        )


def parts_of(
    scored: Mapping[str, Any],
    scale: tuple[float, float],
    reach: float,
    without: Sequence[str] = (),
) -> tuple[Part, ...]:
    """Return words, voice and face of a segment or of the whole.

    A bar is as long as its share of `reach`. `without` are the modalities that were left out.
    """
    alone = scored.get("alone", {})
    return tuple(
        Part(
            name,
            None if value is None else _minus(signed(value, scale)),
            0.0
            if value is None or _is_nothing(value, scale)
            else round(max(-1.0, min(1.0, value / reach)), 3),
            "left out" if key in without else "absent",
            None if alone.get(key) is None else _minus(signed(alone[key], scale)),
        )
        for key, name in NAMES.items()
        for value in [scored["contributions"][key]]
    )


def sum_of(scored: Mapping[str, Any], scale: tuple[float, float]) -> str | None:
    """Write what adds up to the score; None in old results."""
    made = sum_in_words(scored.get("base"), scored["contributions"], scored["score"], scale)
    return None if made is None else _minus(made)


def reach_of(record: Record) -> float:
    """Return the largest contribution of the file, the end of every bar; never quite nothing."""
    low, high = _scale(record)
    found: list[float] = [
        abs(float(value))
        for scored in (record["overall"], *record["segments"])
        for value in scored["contributions"].values()
        if value is not None
    ]
    return max([(high - low) / 12, *found])


def level_of(score: float, label: str, scale: tuple[float, float]) -> int:
    """Return the shade of a score, from -6 to 6; 0 where its label is neutral."""
    low, high = scale
    reach = high if score > 0 else -low
    share = min(1.0, abs(score) / reach) if reach > 0 else 0.0
    level = max(1, round(share * LEVELS))
    return {"negative": -level, "neutral": 0, "positive": level}[sign_of(label)]


def moments_of(sentences: Sequence[Sentence], record: Record) -> dict[str, list[Sentence]]:
    """Return the strongest sentences on each side, the strongest first; neutral is no side."""
    scores = [segment["score"] or 0.0 for segment in record["segments"]]
    order = sorted(range(len(scores)), key=lambda i: scores[i])
    lowest = [sentences[i] for i in order if sentences[i].level < 0][:_MOMENTS]
    highest = [sentences[i] for i in reversed(order) if sentences[i].level > 0][:_MOMENTS]
    return {"positive": highest, "negative": lowest}


def gaps_of(record: Record) -> dict[str, list[Gap]]:
    """Return where no face was seen, where nobody spoke, and what was not scored at all."""
    segments = record["segments"]
    found = {
        name: [
            (s["start_s"], s["end_s"]) for s in segments if reason in s["reasons"]
        ]
        for name, reason in (("no face", "no_face"), ("no speech", "no_speech"))
    }  # fmt: skip
    run, end_s = record.get("run", {}), record["media"]["duration_s"]
    end_s = min(end_s, run.get("end_s") or end_s)
    scored = [s for s in segments if s["score"] is not None]
    edges = [run.get("start_s", 0.0), *(s["end_s"] for s in scored), end_s]
    starts = [*(s["start_s"] for s in scored), end_s]
    furthest = [max(edges[: i + 1]) for i in range(len(starts))]
    found["not scored"] = [
        (a, b) for a, b in zip(furthest, starts, strict=True) if b - a > _WORTH_TELLING_S
    ]
    return {name: [Gap(a, clock(a), clock(b)) for a, b in _joined(spans)]
            for name, spans in found.items() if spans}  # fmt: skip


def _joined(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for start_s, end_s in spans:
        if joined and start_s - joined[-1][1] < _WORTH_TELLING_S:
            joined[-1] = (joined[-1][0], max(end_s, joined[-1][1]))
        else:
            joined.append((start_s, end_s))
    return joined


def _scale(record: Record) -> tuple[float, float]:
    low, high = record["model"]["label_range"]
    return low, high


def _interval(interval: Sequence[float] | None, scale: tuple[float, float]) -> str | None:
    if interval is None:
        return None
    low, high = (_minus(signed(edge, scale)) for edge in interval)
    return f"{low} to {high}"


def _minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")


def _notes(
    segment: Mapping[str, Any], without: Sequence[str], scale: tuple[float, float]
) -> Iterator[str]:
    if "text" in without and segment["text"] is not None:
        yield "words left out"
    for reason in segment["reasons"]:
        if reason == "no_speech" and segment["text"] is None:
            continue  # the line itself says so
        yield REASONS.get(reason, reason.replace("_", " "))
    seen = segment["present"]["vision"]
    if 0 < seen < 0.5:
        yield f"face seen {seen:.0%} of the time"
    if "base" in segment:  # what it contributed means something else in older results
        yield from _hardly_counted(segment, scale)
    before = segment.get("context_contribution")
    if before is not None and not _is_nothing(before, scale):
        yield _minus(f"of the words, what was said before: {signed(before, scale)}")


def _hardly_counted(segment: Mapping[str, Any], scale: tuple[float, float]) -> Iterator[str]:
    """Name what was there and did not move the score."""
    for key, what in (("text", "words read"), ("audio", "voice heard"), ("vision", "face seen")):
        part = segment["contributions"][key]
        if part is not None and _is_nothing(part, scale):
            yield f"{what}, moved the score by {signed(part, scale)}"


def _is_nothing(value: float, scale: tuple[float, float]) -> bool:
    """Whether a number is written as zero."""
    return float(signed(value, scale)) == 0.0


def _reach_of_words(record: Record) -> float:
    """Return the largest contribution of a word of the file; never quite nothing."""
    low, high = _scale(record)
    found = [
        abs(float(word["contribution"]))
        for segment in record["segments"]
        for word in segment.get("words", ())
        if word["contribution"] is not None
    ]
    return max([(high - low) / 30, *found])


def _tinted(
    words: Sequence[Mapping[str, Any]], reach: float, scale: tuple[float, float]
) -> list[Piece]:
    """Return the words as pieces of the text, shaded by what they contributed."""
    return [
        Piece(
            word["text"],
            None if word["start_s"] is None else round(word["start_s"], 2),
            round(_TINTS * (word["contribution"] or 0.0) / reach),
            None if word["contribution"] is None else _minus(signed(word["contribution"], scale)),
        )
        for word in words
    ]


def _pieces(text: str, words: Sequence[Piece]) -> Iterator[Piece]:
    """Take a text apart at its words; in one piece where they are not those of the text."""
    pieces, end = [], 0
    for word in words:
        place = text.find(word.text, end) if word.text else -1
        if place < 0:
            yield Piece(text, None)
            return
        if place > end:
            pieces.append(Piece(text[end:place], None))
        pieces.append(word)
        end = place + len(word.text)
    if end < len(text):
        pieces.append(Piece(text[end:], None))
    yield from pieces

"""Scores, times and reasons as people read them, the same in every form of the output."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from dashfusion_models.analysis import label_bounds

__all__ = [
    "EXPLAINED",
    "NAMES",
    "REASONS",
    "UNSCORED",
    "bounds_of",
    "by_each",
    "clock",
    "left_out",
    "part_in",
    "part_of",
    "signed",
    "strongest",
    "sum_in_words",
    "without_controls",
    "without_in",
    "without_turning",
]

NAMES: Mapping[str, str] = {"text": "words", "audio": "voice", "vision": "face"}
UNSCORED = "not scored"

_FINE_SCALE = 2.0  # scales up to this length need two decimals

REASONS: Mapping[str, str] = {
    "no_face": "no face seen",
    "no_speech": "nobody speaks",
    "low_speech_confidence": "words uncertain",
    "short": "short",
    "unsupported_language": "a language the model does not read",
    "times_estimated": "times estimated",
    "modalities_disagree": "words, voice and face disagree",
}


# What the numbers of an explanation mean, in the same words wherever they are explained.
EXPLAINED: Mapping[str, str] = {
    "base": "the score of nothing: where a score starts before words, voice and face are known",
    "contribution": "how far words, voice or face moved the score, as a mean over all orders in "
    "which they could arrive; base and contributions add up to the score",
    "alone": "the score from words, voice or face by itself",
    "word": "a word's part in what the words contributed; with that of what was said before, "
    "the words add up to it",
    "80 % interval": "holds the label that people would give in four of five cases",
    "reasons": "why a score deserves less trust; words, voice and face disagree where one alone is "
    "positive and another alone negative",
}
_STRONGEST = 3  # words

# What turns the order of letters (Unicode's Bidi_Control), so that a name reads as another one.
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def without_controls(text: str) -> str:
    """Leave out what steers a terminal; line ends and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c for c in text if c in "\t\n\r" or unicodedata.category(c) != "Cc")


def without_turning(text: str) -> str:
    """Leave out what turns the order of letters.

    For what is only looked at: in a file of words the writing of Arabic and Hebrew needs it.
    """
    return "".join(c for c in text if c not in _TURNING)


def by_each(values: Mapping[str, float | None], scale: tuple[float, float]) -> str:
    """Write a number of each modality that is there, as "words +1.2, voice -0.8"."""
    return ", ".join(
        f"{name} {signed(value, scale)}"
        for key, name in NAMES.items()
        for value in [values.get(key)]
        if value is not None
    )


def sum_in_words(
    base: float | None,
    contributions: Mapping[str, float | None],
    score: float | None,
    scale: tuple[float, float],
) -> str | None:
    """Write what adds up to a score, as "base 0.0, words +0.7 make +0.7"; None where unknown."""
    if base is None or score is None:
        return None
    parts = by_each(contributions, scale)
    return f"base {signed(base, scale)}, {parts} make {signed(score, scale)}"


def strongest(words: Sequence[tuple[str, float | None]]) -> list[tuple[str, float]]:
    """Return the three words of largest contribution, the largest first; 0 is no contribution."""
    known = [(text, part) for text, part in words if part]
    return sorted(known, key=lambda word: -abs(word[1]))[:_STRONGEST]


def bounds_of(scale: tuple[float, float]) -> str:
    """Write from where to where each label holds, as "neutral -0.5 to +0.5"."""
    return ", ".join(
        f"{label} {signed(low, scale)} to {signed(high, scale)}"
        for label, low, high in label_bounds(scale)
    )


def signed(value: float, label_range: tuple[float, float]) -> str:
    """Write a score with its sign and the decimals of its scale; what rounds to zero has none."""
    low, high = label_range
    decimals = 1 if high - low > _FINE_SCALE else 2
    rounded = round(round(value, 4), decimals)  # from what JSON and pages hold, as they do
    return f"{rounded:+.{decimals}f}" if rounded else f"{0:.{decimals}f}"


def clock(seconds: float) -> str:
    """Write a time as m:ss.t or h:mm:ss."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    if minutes >= 60:
        return f"{minutes // 60}:{minutes % 60:02d}:{rest // 10:02d}"
    return f"{minutes}:{rest / 10:04.1f}"


def left_out(without: Sequence[str]) -> str:
    """Say which modalities were left out, as "words and face left out"; empty where none was."""
    names = " and ".join(NAMES[modality] for modality in without)
    return f"{names} left out" if names else ""


def part_of(start_s: float, end_s: float | None, duration_s: float) -> str | None:
    """Write which part of a file was looked at, as "0:02.0 to 0:10.0"; None for all of it.

    None too where its times are written as those of all of it, and for a picture, which has none.
    """
    last_s = duration_s if end_s is None else min(end_s, duration_s)
    first, last = clock(max(0.0, start_s)), clock(last_s)
    if duration_s <= 0 or (first, last) == (clock(0.0), clock(duration_s)):
        return None
    return f"{first} to {last}"


def without_in(record: Mapping[str, Any]) -> Sequence[str]:
    """Return the modalities that were left out of an analysis in its JSON form."""
    without: Sequence[str] = record.get("run", {}).get("without", ())
    return without


def part_in(record: Mapping[str, Any]) -> str | None:
    """Write which part of its file an analysis in its JSON form is of; None for all of it."""
    run = record.get("run", {})
    return part_of(run.get("start_s", 0.0), run.get("end_s"), record["media"]["duration_s"])

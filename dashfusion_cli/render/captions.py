"""What is said, as captions: at most two lines that can be read at a glance, each with its times.

A caption begins with its first word and stays until the next one begins. Where the words have no
times of their own (a given transcript, results read again), those of the segment are shared out by
letters.
"""

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dashfusion_models.analysis import ScoredWord, Segment
from dashfusion_models.records import Span, Word
from dashfusion_models.segment.sentence import soft_break, text_units

__all__ = ["LINE_COLUMNS", "Caption", "broken", "captions_of"]

LINE_COLUMNS = 42  # what subtitles for television allow; a Chinese character takes two
_LINGER_S = 1.0  # a caption stays over a pause up to this long
_LEAST_S = 0.1  # times that leave a caption less are no times
_CLAUSE_SHARE = 0.12  # how far from an equal cut a clause may end, of all that is said...
_CLAUSE_COLUMNS = 12  # ...and how much less even two lines may be for it
_NEVER_FIRST = {
    "Pe",
    "Pf",
    "Po",
    "Lm",
    "Mn",
    "Me",
    "Cf",
}  # kinds of characters: closing ones, marks


@dataclass(frozen=True)
class Caption(Span):
    """One or two lines that are shown together."""

    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The lines as a subtitle file writes them."""
        return "\n".join(self.lines)


@dataclass(frozen=True)
class _Unit:
    """Characters that no line end may part; `place` is that of the first one in the text."""

    text: str
    place: int
    spaced: bool  # a space stands before it

    @property
    def end(self) -> int:
        return self.place + len(self.text)


def captions_of(segment: Segment) -> tuple[Caption, ...]:
    """Return the captions of a segment in order of time; none where nobody speaks."""
    span = Span(segment.start_s, segment.end_s)
    return broken(segment.text or "", span, _timed(segment.words))


def _timed(words: Sequence[ScoredWord]) -> list[Word]:
    """Return the words with their times; none where a time is not known."""
    timed = [
        Word(w.start_s, w.end_s, w.text, w.confidence or 0.0)
        for w in words
        if w.start_s is not None and w.end_s is not None
    ]
    return timed if len(timed) == len(words) else []


def broken(text: str, span: Span, words: Sequence[Word] = ()) -> tuple[Caption, ...]:
    """Break what is said in a span into captions that follow each other and never overlap."""
    units = _units(text)
    if not units:
        return ()
    blocks = _blocks(units)
    spans = _by_words(blocks, text, span, words) or _by_letters(blocks, span)
    return tuple(
        Caption(s.start_s, s.end_s, _lines(block) or ())
        for s, block in zip(spans, blocks, strict=True)
    )


def _units(text: str) -> list[_Unit]:
    """Take the text apart where a line may end."""
    units: list[_Unit] = []
    end = 0
    for piece in (part for unit in text_units(text) for part in _chopped(unit)):
        place = text.index(piece, end)
        spaced, end = place > end, place + len(piece)
        clings = not spaced and unicodedata.category(piece[0]) in _NEVER_FIRST
        if units and clings and _columns(units[-1].text + piece) <= LINE_COLUMNS:
            before = units.pop()
            piece, place, spaced = before.text + piece, before.place, before.spaced
        units.append(_Unit(piece, place, spaced))
    return units


def _chopped(unit: str) -> list[str]:
    """Cut what no line could hold, such as an address, but never a letter from its marks."""
    pieces = [""]
    for character in unit:
        if not _is_mark(character) and _columns(pieces[-1] + character) > LINE_COLUMNS // 2:
            pieces.append("")
        pieces[-1] += character
    return pieces if _columns(unit) > LINE_COLUMNS else [unit]


def _blocks(units: Sequence[_Unit]) -> list[Sequence[_Unit]]:
    """Part units into what two lines hold: as evenly as may be, rather at the end of a clause."""
    if _lines(units) is not None:
        return [units]
    whole = _columns(_joined(units))
    count = max(2, math.ceil(whole / (2 * LINE_COLUMNS)))
    wanted = (count // 2) / count

    def miss(i: int) -> float:
        at_clause = _CLAUSE_SHARE if soft_break(units[i - 1].text) else 0.0
        return abs(_columns(_joined(units[:i])) / whole - wanted) - at_clause

    cut = min(range(1, len(units)), key=miss)
    return [*_blocks(units[:cut]), *_blocks(units[cut:])]


def _lines(units: Sequence[_Unit]) -> tuple[str, ...] | None:
    """Set units in one line or in two of like length; None where two do not hold them."""
    whole = _joined(units)
    if _columns(whole) <= LINE_COLUMNS:
        return (whole,)
    if _columns(whole) > 2 * LINE_COLUMNS + 1:
        return None
    best: tuple[float, tuple[str, str]] | None = None
    for i in range(1, len(units)):
        upper, lower = _joined(units[:i]), _joined(units[i:])
        wide, high = _columns(upper), _columns(lower)
        if max(wide, high) <= LINE_COLUMNS:
            at_clause = _CLAUSE_COLUMNS if soft_break(units[i - 1].text) else 0
            miss = abs(wide - high) - at_clause
            if best is None or miss < best[0]:
                best = miss, (upper, lower)
    return best[1] if best else None


def _by_words(
    blocks: Sequence[Sequence[_Unit]], text: str, span: Span, words: Sequence[Word]
) -> list[Span] | None:
    """Give each block the times of its words; None where they are not those of the text."""
    placed: list[tuple[int, Word]] = []
    end = 0
    for word in words:
        place = text.find(word.text, end)
        if place < 0:
            return None
        placed.append((place, word))
        end = place + len(word.text)
    if not placed:
        return None
    starts = [_word_time(placed, block[0].place) for block in blocks]
    starts = [max(starts[: i + 1]) for i in range(len(starts))]  # words may overlap a little
    ends = [_word_time(placed, block[-1].end, is_end=True) for block in blocks]
    return _in_turn(starts, ends, span)


def _word_time(placed: Sequence[tuple[int, Word]], place: int, *, is_end: bool = False) -> float:
    """Return when the word at a place begins, or when the one before it ends.

    Inside a word its time is shared out by letters: unspaced writing is cut anywhere.
    """
    if is_end:
        begin, word = next((p for p in reversed(placed) if p[0] < place), placed[0])
    else:
        begin, word = next((p for p in placed if p[0] + len(p[1].text) > place), placed[-1])
    share = (place - begin) / max(1, len(word.text))
    return word.start_s + word.duration_s * min(1.0, max(0.0, share))


def _in_turn(starts: Sequence[float], ends: Sequence[float], span: Span) -> list[Span] | None:
    """Return spans that end before the next one begins; None where one would have no time."""
    edges = [*starts, span.end_s]
    spans = []
    for (start_s, next_s), end_s in zip(pairwise(edges), ends, strict=True):
        stays = next_s - end_s <= _LINGER_S
        spans.append(Span(max(span.start_s, start_s), next_s if stays else end_s))
    return spans if all(s.duration_s >= _LEAST_S for s in spans) else None


def _by_letters(blocks: Sequence[Sequence[_Unit]], span: Span) -> list[Span]:
    """Share the time of a span out by letters."""
    letters = [sum(len(unit.text) for unit in block) for block in blocks]
    edges = [
        span.start_s + span.duration_s * sum(letters[:i]) / sum(letters)
        for i in range(len(letters) + 1)
    ]
    return [Span(a, b) for a, b in pairwise(edges)]


def _joined(units: Sequence[_Unit]) -> str:
    return "".join(" " * (unit.spaced and i > 0) + unit.text for i, unit in enumerate(units))


def _columns(text: str) -> int:
    """Count columns: two for wide characters, none for marks that sit on others."""
    return sum(
        0 if _is_mark(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def _is_mark(character: str) -> bool:
    return unicodedata.category(character) in {"Mn", "Me", "Cf"}

"""Words and silences -> the utterances that are scored.

An utterance ends with a sentence, or where the speaker pauses. What is longer than about 8 s (the
benchmarks' are 4 s to 8 s in the mean) is cut where a clause ends: a sentence where that is plain,
words without a stop at the best place there is. None is longer than about 15 s. Where nobody speaks
and a face is seen, the face is scored.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from dashfusion_models.errors import ConfigError
from dashfusion_models.records import Phrase, Span, Transcript, Utterance, Word
from dashfusion_models.segment.clause import place_worth
from dashfusion_models.segment.sentence import ends_sentence, joined, text_units
from dashfusion_models.segment.spans import clipped, covered_s, equal, gaps, merged

__all__ = ["SegmentRule", "silent_stretches", "utterances"]

_PAUSE_S = 0.8  # a longer pause ends an utterance, finished or not
_LONG_S = 8.0  # what is longer is cut where a clause ends
_LONGEST_S = 15.0  # what is longer is cut in any case
_FRAGMENT_S = 0.6  # shorter ones join a neighbour...
_JOIN_PAUSE_S = 1.2  # ...that is not farther away than this
_PLAIN_S = 0.25  # a place worth as much as such a pause divides a sentence
_EDGE_S = 2.0  # such a cut stays that far from both ends...
_OFF_MIDDLE = 0.03  # ...and costs that much for each second off the middle
_LEAST_S = 0.1  # the shortest span given to words whose times are all the same
_LEAST_WINDOW_S = 0.5  # below, a fixed window holds no word

_SILENT_S = 2.0  # without a word for longer than this, the face alone is scored
_FACE_GAP_S = 2.0  # a face away for less is the same appearance
_SEEN_S = 0.5  # a window needs so much of a face...
_SEEN_SHARE = 0.5  # ...and this share of its time


@dataclass(frozen=True)
class SegmentRule:
    """How a file is cut: by sentences, not at all, or into windows of `seconds`."""

    mode: Literal["sentence", "whole", "seconds"] = "sentence"
    seconds: float | None = None

    def __post_init__(self) -> None:
        """Refuse seconds without windows and windows without a length."""
        if (self.mode == "seconds") != (self.seconds is not None):
            raise ConfigError(f"segments {self.mode}: seconds go with windows and with them only")
        if self.seconds is not None and not _LEAST_WINDOW_S <= self.seconds < math.inf:
            raise ConfigError(f"segments {self.seconds}: at least {_LEAST_WINDOW_S} s is needed")

    @classmethod
    def parse(cls, text: str) -> "SegmentRule":
        """Read "sentence", "whole" or a number of seconds.

        Raises:
            ConfigError: it is none of them, or shorter than half a second.
        """
        if text == "sentence":
            return cls(mode="sentence")
        if text == "whole":
            return cls(mode="whole")
        try:
            return cls(mode="seconds", seconds=float(text))
        except ValueError as error:
            raise ConfigError(
                f"segments {text}: not known; use sentence, whole or a number of seconds"
            ) from error


@dataclass(frozen=True)
class _Piece(Span):
    """Words that stay together: one recognised word, or a part of a phrase without words."""

    text: str
    words: tuple[Word, ...]
    confidence: float
    closed: bool = False  # ends a phrase without words, which nothing joins
    speaker: str | None = None


def utterances(
    transcript: Transcript, *, rule: SegmentRule, duration_s: float, start_s: float = 0.0
) -> tuple[Utterance, ...]:
    """Cut a transcript into utterances, in order of time, from `start_s` to the end of the file.

    Recognised words are cut by the rule. A phrase without words (from a subtitle file) is an
    utterance of its own, or several where it is too long, their times in proportion to characters.
    Where somebody else begins to speak an utterance ends, also inside a window of fixed length; a
    file that is not cut at all may have several speakers, and its utterance then names none.
    """
    found: list[list[_Piece]]
    if rule.mode == "sentence":
        found = _sentences(transcript)
        spans: list[Span] = [Span(group[0].start_s, _end_s(group)) for group in found]
    else:
        pieces = [piece for phrase in transcript.phrases for piece in _fine(phrase)]
        seconds = rule.seconds if rule.seconds is not None else duration_s - start_s
        found, spans = _windows(pieces, seconds, Span(start_s, duration_s))
        if rule.mode == "seconds":
            found, spans = _by_speaker(found, spans)
    made = []
    for group, span in zip(found, spans, strict=True):
        first_s = max(start_s, span.start_s)
        end_s = min(duration_s, max(span.end_s, span.start_s + _LEAST_S))
        if end_s > first_s:
            made.append(_utterance(group, Span(first_s, end_s), transcript.times_estimated))
    return tuple(made)


def silent_stretches(
    speech_utterances: Sequence[Utterance],
    seen: Sequence[Span],
    *,
    duration_s: float,
    start_s: float = 0.0,
    longest_s: float = _LONGEST_S,
) -> tuple[Utterance, ...]:
    """Return windows of at most 15 s without words in which a face is seen.

    A stretch counts when it is longer than 2 s (a file without a word counts whole). Inside it, a
    face that goes for at most 2 s is still there; a window needs half a second of a face, and a
    face in half of its time. `seen` are the spans with a face.
    """
    minimum_s = _SILENT_S if speech_utterances else 0.0
    windows: list[Span] = []
    for stretch in gaps(speech_utterances, duration_s, start_s):
        if stretch.duration_s > minimum_s:
            for shown in merged(clipped(seen, stretch), _FACE_GAP_S):
                windows.extend(equal(shown, longest_s))
    return tuple(
        Utterance(window.start_s, window.end_s, None, (), None)
        for window in windows
        if covered_s(seen, window) >= max(_SEEN_S, _SEEN_SHARE * window.duration_s)
    )


def _sentences(transcript: Transcript) -> list[list[_Piece]]:
    """Group pieces into utterances by sentence ends and pauses."""
    pieces: list[_Piece] = []
    for phrase in transcript.phrases:
        if phrase.words:
            pieces.extend(_from_words(phrase))
        else:
            pieces.extend(_proportional(phrase, _LONGEST_S))
    groups: list[list[_Piece]] = []
    for i, piece in enumerate(pieces):
        if not groups or _cut_between(pieces[i - 1], piece):
            groups.append([])
        groups[-1].append(piece)
    english = _is_english(transcript)
    short = [part for group in groups for part in _shortened(group, english, _is_sentence(group))]
    return _without_fragments(short)


def _cut_between(before: _Piece, after: _Piece) -> bool:
    if before.closed or not after.words or before.speaker != after.speaker:
        return True
    return after.start_s - before.end_s >= _PAUSE_S or ends_sentence(before.text, after.text)


def _is_english(transcript: Transcript) -> bool:
    """Whether the words are English, as far as it is known."""
    language = transcript.language
    return transcript.translated or language is None or language.code == "en"


def _is_sentence(group: list[_Piece]) -> bool:
    """Whether a stop ends it that belongs to all of it: a longer run has lost some on the way."""
    short = _end_s(group) - group[0].start_s <= _LONGEST_S
    return short and ends_sentence(group[-1].text, "")


def _shortened(group: list[_Piece], english: bool, sentence: bool) -> Iterator[list[_Piece]]:
    """Cut a long group at the best place between two words, again and again.

    A `sentence`, or a part of one, is only cut where a clause plainly ends.
    """
    first_s, last_s = group[0].start_s, _end_s(group)
    if len(group) < 2 or last_s - first_s <= _LONG_S:
        yield group
        return
    inner = [
        i
        for i in range(1, len(group))
        if group[i].start_s - first_s >= _EDGE_S and last_s - group[i].start_s >= _EDGE_S
    ]

    def worth(i: int) -> float:
        following = group[i + 1].text if i + 1 < len(group) else ""
        return place_worth(
            group[i - 1].text,
            group[i].text,
            following,
            pause_s=max(0.0, group[i].start_s - group[i - 1].end_s),
            english=english,
        )

    def rank(i: int) -> float:
        from_middle_s = abs(group[i].start_s - (first_s + last_s) / 2)
        return round(worth(i) - _OFF_MIDDLE * from_middle_s, 3)

    cut = max(inner or range(1, len(group)), key=rank)
    if sentence and worth(cut) < _PLAIN_S:
        yield group
        return
    yield from _shortened(group[:cut], english, sentence)
    yield from _shortened(group[cut:], english, sentence)


def _without_fragments(groups: list[list[_Piece]]) -> list[list[_Piece]]:
    """Join very short groups to the nearer neighbour, where that is near and stays short."""
    groups = [list(group) for group in groups]
    i = 0
    while i < len(groups):
        after = groups[i + 1] if i + 1 < len(groups) else None
        if _is_fragment(groups[i], after):
            joins = [
                (groups[j + 1][0].start_s - _end_s(groups[j]), j != i, j)
                for j in (i, i - 1)  # at equal pauses with what follows
                if 0 <= j < len(groups) - 1 and _may_join(groups[j], groups[j + 1])
            ]
            if joins:
                j = min(joins)[2]
                groups[j : j + 2] = [groups[j] + groups[j + 1]]
                i = j
                continue
        i += 1
    return groups


def _is_fragment(group: list[_Piece], after: list[_Piece] | None) -> bool:
    if not group[0].words:
        return False
    if _end_s(group) - group[0].start_s < _FRAGMENT_S:
        return True
    following = after[0].text if after else ""
    return len(group) == 1 and not ends_sentence(group[0].text, following)


def _may_join(before: list[_Piece], after: list[_Piece]) -> bool:
    if not before[-1].words or not after[0].words or before[-1].speaker != after[0].speaker:
        return False
    near = after[0].start_s - _end_s(before) < _JOIN_PAUSE_S
    return near and _end_s(after) - before[0].start_s <= _LONGEST_S


def _windows(
    pieces: Sequence[_Piece], seconds: float, bounds: Span
) -> tuple[list[list[_Piece]], list[Span]]:
    """Sort pieces into windows of the same length by their middle; empty windows are left out."""
    if bounds.duration_s <= 0.0:
        return [], []
    count = max(1, math.ceil(bounds.duration_s / seconds - 1e-6))
    groups: list[list[_Piece]] = [[] for _ in range(count)]
    for piece in pieces:
        if piece.start_s < bounds.end_s and piece.end_s > bounds.start_s:
            middle_s = (piece.start_s + piece.end_s) / 2 - bounds.start_s
            groups[min(count - 1, max(0, int(middle_s / seconds)))].append(piece)
    edges = [bounds.start_s + i * seconds for i in range(count)] + [bounds.end_s]
    spans = [Span(edges[i], min(edges[i + 1], bounds.end_s)) for i in range(count)]
    kept = [i for i in range(count) if groups[i]]
    return [groups[i] for i in kept], [spans[i] for i in kept]


def _by_speaker(
    groups: Sequence[list[_Piece]], spans: Sequence[Span]
) -> tuple[list[list[_Piece]], list[Span]]:
    """Cut windows where the next person begins to speak, or later, where one is interrupted."""
    parts: list[list[_Piece]] = []
    part_spans: list[Span] = []
    for group, span in zip(groups, spans, strict=True):
        turns = [list(turn) for _, turn in itertools.groupby(group, lambda piece: piece.speaker)]
        starts = [max(span.start_s, turn[0].start_s) for turn in turns[1:]]
        edges = [span.start_s, *starts, span.end_s]
        parts += turns
        for turn, (first_s, next_s) in zip(turns, itertools.pairwise(edges), strict=True):
            part_spans.append(Span(first_s, min(span.end_s, max(next_s, _end_s(turn)))))
    return parts, part_spans


def _fine(phrase: Phrase) -> list[_Piece]:
    """Return the words of a phrase, or pieces of its text of about one word."""
    return _from_words(phrase) if phrase.words else _proportional(phrase, 0.0)


def _from_words(phrase: Phrase) -> list[_Piece]:
    return [
        _Piece(w.start_s, w.end_s, w.text, (w,), w.probability, speaker=phrase.speaker)
        for w in phrase.words
    ]


def _proportional(phrase: Phrase, longest_s: float) -> list[_Piece]:
    """Split a phrase without words into parts of at most that length, by characters.

    Parts are as equal as the words allow; with a length of 0 there is a part a word.
    """
    units = text_units(phrase.text)
    count = math.ceil(phrase.duration_s / longest_s) if longest_s else len(units)
    characters = sum(map(len, units))
    parts: list[list[str]] = [[] for _ in range(max(1, count))]
    before = 0
    for unit in units:
        middle = (before + len(unit) / 2) / characters
        parts[min(len(parts) - 1, int(middle * len(parts)))].append(unit)
        before += len(unit)
    if not longest_s:
        parts = [[unit] for unit in units]
    pieces, start_s = [], phrase.start_s
    for part in filter(None, parts):
        length_s = phrase.duration_s * sum(map(len, part)) / characters
        text = phrase.text if len(parts) == 1 else joined(part)
        end_s = start_s + length_s
        made = _Piece(start_s, end_s, text, (), phrase.confidence, True, phrase.speaker)
        pieces.append(made)
        start_s = end_s
    return pieces


def _utterance(group: Sequence[_Piece], span: Span, times_estimated: bool) -> Utterance:
    words = tuple(word for piece in group for word in piece.words)
    confidence = sum(piece.confidence for piece in group) / len(group)
    text = joined([piece.text for piece in group])
    speakers = {piece.speaker for piece in group}
    speaker = speakers.pop() if len(speakers) == 1 else None
    return Utterance(span.start_s, span.end_s, text, words, confidence, times_estimated, speaker)


def _end_s(group: Sequence[_Piece]) -> float:
    return max(piece.end_s for piece in group)

"""The words of an utterance with what each contributed to its score."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

from dashfusion_models.analysis import ScoredWord
from dashfusion_models.records import Utterance
from dashfusion_models.segment.sentence import text_units
from dashfusion_models.text_parts import TextParts

__all__ = ["scored_words"]


def scored_words(utterance: Utterance, parts: TextParts | None) -> tuple[ScoredWord, ...]:
    """Return the words of what was said: the recogniser's, else the text taken apart.

    `parts` is what the pieces of the text contributed; a piece counts for the word that it begins
    in, or that stands before it. Words have no contribution where the text has no pieces.
    """
    text = utterance.text
    if text is None:
        return ()
    words = [
        ScoredWord(w.text, w.start_s, w.end_s, w.probability) for w in utterance.words if w.text
    ]
    starts = _places(text, [w.text for w in words])
    if not words or starts is None:
        words = [ScoredWord(unit, None, None, None) for unit in text_units(text)]
        starts = _places(text, [w.text for w in words])
    if not words or starts is None or parts is None or not parts.pieces:
        return tuple(words)
    sums = [0.0] * len(words)
    for piece in parts.pieces:
        sums[max(0, bisect.bisect_right(starts, piece.start) - 1)] += piece.contribution
    return tuple(
        ScoredWord(w.text, w.start_s, w.end_s, w.confidence, part)
        for w, part in zip(words, sums, strict=True)
    )


def _places(text: str, words: Sequence[str]) -> list[int] | None:
    """Where each word begins in the text; None where one is not found after the one before."""
    places, end = [], 0
    for word in words:
        place = text.find(word, end)
        if place < 0:
            return None
        places.append(place)
        end = place + len(word)
    return places

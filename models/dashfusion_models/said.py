"""What was said before each utterance of a video, as the network is told it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

__all__ = ["MOST_WORDS", "said_before"]

MOST_WORDS = 400  # a word is at least one word piece, and a BERT reads 512 of them


def said_before(texts: Iterable[str | None]) -> Iterator[str | None]:
    """Yield the last MOST_WORDS words before each text, oldest first; None where nothing was said.

    `texts` are those of one video in the order of time; None stands for an utterance without words.
    """
    words: list[str] = []
    for text in texts:
        yield " ".join(words) or None
        words = [*words, *(text or "").split()][-MOST_WORDS:]

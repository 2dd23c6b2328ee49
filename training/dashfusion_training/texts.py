"""Texts as a speech recogniser might have written them: without punctuation, or misheard.

Both are ours. Official texts are written with care; what `analyze` reads comes from a recogniser.
"""

from __future__ import annotations

import difflib
import functools
import re
import unicodedata
from collections.abc import Callable, Sequence

import numpy as np

from dashfusion_models.errors import ConfigError

__all__ = ["misheard", "without_punctuation"]

# How often each error is drawn where it is possible: most words that are misheard are swapped.
ERRORS = {"swap": 0.5, "drop": 0.2, "repeat": 0.1, "join": 0.1, "split": 0.1}
ALIKE = 0.6  # difflib's ratio, 1 for equal words
SHORTEST_SPLIT = 4  # letters; two of them on each side

_CORE = re.compile(r"^(\W*)(.*?)(\W*)$", re.DOTALL)  # what stands before, in and after a word


def without_punctuation(text: str) -> str:
    """The words in lower case, one space apart; apostrophes inside words and decimals stay.

    Punctuation and symbols become spaces, so that "well-made" is two words. A text of nothing else
    becomes empty.
    """
    straight = text.replace("\u2019", "'")
    kept = [c if _is_said(straight, place) else " " for place, c in enumerate(straight)]
    return " ".join("".join(kept).lower().split())


def _is_said(text: str, place: int) -> bool:
    """Whether a character belongs to a word or a number."""
    if unicodedata.category(text[place])[0] not in "PS":
        return True
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    inside_word = text[place] == "'" and before.isalnum() and after.isalnum()
    return inside_word or (text[place] in ".," and before.isdigit() and after.isdigit())


def misheard(
    text: str, draw: np.random.Generator, share: float, vocabulary: Sequence[str] = ()
) -> str:
    """The text with a share of its words disturbed: swapped, dropped, repeated, joined, split.

    On average exactly `share` of the words, in [0, 1], are disturbed. A word is swapped for one
    that is written alike, taken from the text itself and from `vocabulary` (lower case); it keeps
    its capitals and the punctuation around it. At least one word always stays. Words that are
    disturbed come back one space apart; a text of which no word is drawn comes back as it is.

    Raises:
        ConfigError: `share` is outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise ConfigError(f"share {share}: is no share of the words; give a number from 0 to 1")
    words = text.split()
    whole, rest = divmod(share * len(words), 1)
    count = int(whole) + int(draw.random() < rest)
    chosen = {int(place) for place in draw.permutation(len(words))[:count]}
    if not chosen:
        return text
    own = tuple(sorted({_core(word) for word in words}))
    known = functools.partial(_alike, own=own, vocabulary=tuple(vocabulary))
    written = "".join(
        _disturbed(word, draw, known, last=place == len(words) - 1)
        if place in chosen
        else f"{word} "
        for place, word in enumerate(words)
    )
    return written.strip() or words[int(draw.integers(len(words)))]


def _disturbed(
    word: str, draw: np.random.Generator, alike: Callable[[str], list[str]], *, last: bool
) -> str:
    """What is written for a word, with the space after it, after one error that is possible."""
    core = _core(word)
    swaps = alike(core)
    possible = {
        "swap": bool(swaps),
        "drop": True,
        "repeat": True,
        "join": not last,
        "split": len(core) >= SHORTEST_SPLIT,
    }
    errors = [error for error in ERRORS if possible[error]]
    weights = np.array([ERRORS[error] for error in errors])
    error = errors[int(draw.choice(len(errors), p=weights / weights.sum()))]
    before, said, after = _parts(word)
    if error == "swap":
        other = swaps[int(draw.integers(len(swaps)))]
        return f"{before}{_capitals_of(said, other)}{after} "
    if error == "repeat":
        return f"{before}{said} {said}{after} "
    if error == "join":
        return before + said
    if error == "split":
        cut = int(draw.integers(2, len(said) - 1))
        return f"{before}{said[:cut]} {said[cut:]}{after} "
    return ""


def _alike(core: str, *, own: tuple[str, ...], vocabulary: tuple[str, ...]) -> list[str]:
    """Words written like `core`, never itself; each once."""
    return list(dict.fromkeys((*_close(core, own), *_close_in_vocabulary(core, vocabulary))))


def _close(core: str, words: tuple[str, ...]) -> list[str]:
    others = [word for word in words if word != core]
    return difflib.get_close_matches(core, others, n=3, cutoff=ALIKE) if core else []


# A vocabulary is compared with the same words again and again; texts are not.
_close_in_vocabulary = functools.lru_cache(maxsize=50_000)(_close)


def _core(word: str) -> str:
    return _parts(word)[1].lower()


def _parts(word: str) -> tuple[str, str, str]:
    """Punctuation before a word, the word, punctuation after it."""
    found = _CORE.match(word)
    return (found[1], found[2], found[3]) if found else ("", word, "")


def _capitals_of(said: str, other: str) -> str:
    """`other` written as `said` is: all capitals, one at the start, or none."""
    if said.isupper() and len(said) > 1:
        return other.upper()
    return other.capitalize() if said[:1].isupper() else other

"""Which utterances a calibration takes for alike: by what is present, by length, by strength."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import combinations

from dashfusion_models.errors import ConfigError
from dashfusion_models.records import MODALITIES, Streams

__all__ = [
    "ALL",
    "COMBINATIONS",
    "FILES",
    "GROUPS",
    "SIZE_CLASSES",
    "Grouping",
    "combination_of",
    "count_words",
    "file_chain",
    "present_in",
    "size_class",
]

ALL = "all"  # the group of everything
SIZE_CLASSES = ("2-4", "5-9", "10+")  # utterances of a file
WITHOUT_WORDS = "without words/"  # begins the names of files whose words were not scored
FILES = tuple(kind + name for kind in ("", WITHOUT_WORDS) for name in (*SIZE_CLASSES, ALL))
COMBINATIONS = tuple(
    "+".join(some) for size in (3, 2, 1) for some in combinations(MODALITIES, size)
)

_CHARACTERS = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"  # Chinese and Japanese: no spaces
_WORD = re.compile(rf"[{_CHARACTERS}]|[^\s{_CHARACTERS}]+")


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """Which utterances are alike: by what is present, by the number of words, by strength.

    At most `short_words` words are short; at most `weak` away from the `middle` of the scale is
    weak.
    """

    short_words: int
    weak: float
    middle: float = 0.0

    def __post_init__(self) -> None:
        """Refuse borders below nothing."""
        if not (self.short_words >= 0 and 0 <= self.weak < math.inf and math.isfinite(self.middle)):
            raise ConfigError(f"{self}: borders are finite numbers and at least 0")

    def chain(self, score: float, combination: str, words: int | None) -> tuple[str, ...]:
        """Name the groups of an utterance, the finest first, the group of everything last.

        Each is the parent of the one before: first the strength goes, then the number of words.
        """
        length = [] if words is None else ["short" if words <= self.short_words else "long"]
        strength = "weak" if abs(score - self.middle) <= self.weak else "strong"
        names = [combination, *length, strength]
        return (*("/".join(names[:k]) for k in range(len(names), 0, -1)), ALL)


def combination_of(present: Streams[bool]) -> str:
    """Name what is present, such as "text+vision"; the empty name where nothing is."""
    return "+".join(m for m, here in present.items() if here)


def present_in(combination: str) -> Streams[bool]:
    """What a name of COMBINATIONS (or the empty one) says is present."""
    names = combination.split("+")
    return Streams(**{m: m in names for m in MODALITIES})


def count_words(text: str) -> int:
    """The number of words; each character of Chinese or Japanese counts as one."""
    return len(_WORD.findall(text))


def size_class(n_segments: int) -> str:
    """Name the class of a file with so many utterances, two or more."""
    return SIZE_CLASSES[(n_segments >= 5) + (n_segments >= 10)]


def file_chain(n_segments: int, *, words: bool) -> tuple[str, str]:
    """Name the groups of a file with so many utterances, scored with their words or without."""
    kind = "" if words else WITHOUT_WORDS
    return kind + size_class(n_segments), kind + ALL


def _groups() -> set[str]:
    grouping = Grouping(short_words=1, weak=1.0)
    return {
        name
        for combination in COMBINATIONS
        for words in ((1, 2) if present_in(combination).text else (None,))
        for score in (0.0, 2.0)
        for name in grouping.chain(score, combination, words)
    }


GROUPS = _groups()

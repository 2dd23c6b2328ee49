"""Which samples a checkpoint learned from, told by digests of their content.

A sample of a file is known by the SHA-256 of the file and the part taken of it, whatever the file
is called and whichever words were recognised in it; a sample without a file by its text and the
lengths of its sequences. Words that are given may be taken without opening their file: so a sample
of a file is known by its words too, to samples whose file was not opened, and the reverse; two that
have files are told apart by these alone. Whoever guesses a text can compute its digest, and so find
out whether a checkpoint learned from it: that is what the digests are for, so no salt can prevent
it. No text is written.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
from jaxtyping import Int64

from dashfusion_models.store import Row
from dashfusion_training.samples import Dataset

__all__ = ["count_learned", "digests_of", "joined", "learned_from"]

DIGEST_BYTES = 8  # one in 10^11 that any of 5,000 samples meets one of 20,000 by chance
UNKNOWN = 0  # among the digests: and others that nobody noted


def digests_of(samples: Dataset) -> Int64[np.ndarray, " n"]:
    """The digest of each sample."""
    stores = {id(sample.store): sample.store for sample in samples}
    steps = {key: (s.steps("audio"), s.steps("vision")) for key, s in stores.items()}

    def digest(place: int) -> int:
        row, index = samples[place].row, samples[place].index
        if _has_file(row):
            return _digest(row.sha256, row.start_s, row.end_s)
        lengths = [int(of_store[index]) for of_store in steps[id(samples[place].store)]]
        return _digest(row.sha256, row.text, *lengths)

    return np.array([digest(place) for place in range(len(samples))], np.int64)


def learned_from(samples: Dataset) -> Int64[np.ndarray, " n"]:
    """What is noted of samples: their digests, and those of the words of files."""
    rows = [sample.row for sample in samples]
    words = [_words_of_file(row) for row in rows if _has_file(row) and row.text is not None]
    return joined(digests_of(samples), np.array(words, np.int64))


def joined(
    *parts: Int64[np.ndarray, " _"] | None,
) -> Int64[np.ndarray, " n"]:
    """All digests once, in their order; None, of whoever does not say, adds that some are unknown.

    UNKNOWN stays among the digests of all that goes on from there.
    """
    unknown = np.array([UNKNOWN], np.int64)
    known = [unknown if part is None else part for part in parts]
    return np.unique(np.concatenate([np.zeros(0, np.int64), *known]))


def count_learned(samples: Dataset, learned: Int64[np.ndarray, " n"] | None) -> int | None:
    """How many of the samples are among those learned from; None where nobody can say.

    Where only some of these are known, that is so unless one of the samples is among them: it is
    at least that many then.
    """
    if learned is None:
        return None
    rows = [sample.row for sample in samples]
    words = np.array([_words_elsewhere(row) for row in rows], np.int64)
    found = np.isin(digests_of(samples), learned) | np.isin(words, learned)
    count = int(found.sum())
    return None if count == 0 and UNKNOWN in learned else count


def _has_file(row: Row) -> bool:
    """Whether the file was opened, and the part of it is known."""
    return bool(row.sha256) and row.start_s is not None


def _words_of_file(row: Row) -> int:
    return _digest("words of a file", row.text)


def _words_elsewhere(row: Row) -> int:
    """What a sample with these words is noted by where its file was not opened, or was but here."""
    return _digest("", row.text, 0, 0) if _has_file(row) else _words_of_file(row)


def _digest(*about: str | float | int | None) -> int:
    whole = hashlib.sha256(json.dumps(about).encode()).digest()
    return int.from_bytes(whole[:DIGEST_BYTES], "little", signed=True)

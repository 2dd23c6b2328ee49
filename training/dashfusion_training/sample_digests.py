"""Which samples a checkpoint learned from, told by digests of their content.

A sample of a file is known by the SHA-256 of the file and the part taken of it, whatever the file
is called and whichever words were recognised in it; a sample without a file by its text and the
lengths of its sequences. Whoever guesses a text can compute its digest, and so find out whether a
checkpoint learned from it: that is what the digests are for, so no salt can prevent it. No text is
written.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
from jaxtyping import Int64

from dashfusion_training.samples import Dataset

__all__ = ["count_learned", "digests_of", "joined"]

DIGEST_BYTES = 8  # one in 10^11 that any of 5,000 samples meets one of 20,000 by chance


def digests_of(samples: Dataset) -> Int64[np.ndarray, " n"]:
    """The digest of each sample."""
    stores = {id(sample.store): sample.store for sample in samples}
    steps = {key: (s.steps("audio"), s.steps("vision")) for key, s in stores.items()}

    def digest(place: int) -> int:
        row, index = samples[place].row, samples[place].index
        if row.sha256 and row.start_s is not None:
            about: list[object] = [row.sha256, row.start_s, row.end_s]
        else:
            lengths = [int(of_store[index]) for of_store in steps[id(samples[place].store)]]
            about = [row.sha256, row.text, *lengths]
        whole = hashlib.sha256(json.dumps(about).encode()).digest()
        return int.from_bytes(whole[:DIGEST_BYTES], "little", signed=True)

    return np.array([digest(place) for place in range(len(samples))], np.int64)


def joined(
    *parts: Int64[np.ndarray, " _"] | None,
) -> Int64[np.ndarray, " n"]:
    """All digests once, in their order; None knows of no sample."""
    known = [part for part in parts if part is not None]
    return np.unique(np.concatenate([np.zeros(0, np.int64), *known]))


def count_learned(samples: Dataset, learned: Int64[np.ndarray, " n"] | None) -> int | None:
    """How many of the samples are among those learned from; None where these are not known."""
    return None if learned is None else int(np.isin(digests_of(samples), learned).sum())

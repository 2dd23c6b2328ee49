"""Which voice and which face go with which text in the composed test set.

A text is lent a voice and a face of people who never said it. Which ones is drawn from the seed and
the text's id alone, among lenders sorted by their id: neither the order of the stores nor which
other texts are measured changes it. Source: ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

import numpy as np

from dashfusion_models.errors import DataError
from dashfusion_training.datasets import Sample

__all__ = ["KINDS", "NEUTRAL", "Kind", "Pair", "is_signed", "lenders_of", "pair", "sampled"]

Kind = Literal["neutral", "agreeing", "opposing"]
KINDS: tuple[Kind, ...] = ("neutral", "agreeing", "opposing")

NEUTRAL = frozenset({"neutral", "calm"})  # surprise scores 0 too, but it is not neutral
SIGNED = 1.0  # on [-3, 3]: a label at least this far from 0 has a sign that can be opposed
SAMPLED, VOICE, FACE = 1, 2, 3  # keep the streams of random numbers apart


@dataclass(frozen=True)
class Pair:
    """Places among the voices and the faces that a text is lent."""

    voice: int
    face: int


def is_signed(label: float) -> bool:
    """Whether a label is so far from 0 that a voice and a face can be of its sign or not."""
    return abs(label) >= SIGNED


def sampled(texts: Sequence[Sample], limit: int | None, seed: int) -> list[Sample]:
    """At most `limit` of the texts, drawn by seed and id, in the order of their ids."""
    chosen = sorted(texts, key=lambda s: _draw(seed, s.row.id, SAMPLED).random())[:limit]
    return sorted(chosen, key=lambda s: s.row.id)


def lenders_of(samples: Sequence[Sample], source: str) -> dict[int, list[int]]:
    """Places of the samples of positive (1), negative (-1) and neutral (0) classes, by their id.

    Raises:
        DataError: one of the three has none.
    """
    order = sorted(range(len(samples)), key=lambda i: samples[i].row.id)
    found: dict[int, list[int]] = {-1: [], 0: [], 1: []}
    for i in order:
        if samples[i].label:
            found[int(np.sign(samples[i].label))].append(i)
        elif samples[i].row.label in NEUTRAL:
            found[0].append(i)
    for sign, name in ((-1, "negative"), (0, "neutral"), (1, "positive")):
        if not found[sign]:
            raise DataError(f"{source}: has no {name} class; give a store of classes of all three")
    return found


def pair(
    text: Sample,
    kind: Kind,
    voices: Mapping[int, Sequence[int]],
    faces: Mapping[int, Sequence[int]],
    seed: int,
) -> Pair:
    """What a text is lent: of no sign, of its label's, or of the opposite one."""
    label = int(np.sign(text.label))
    sign = {"neutral": 0, "agreeing": label, "opposing": -label}[kind]

    def one(lenders: Mapping[int, Sequence[int]], stream: int) -> int:
        draw = _draw(seed, text.row.id, stream, KINDS.index(kind))
        return int(lenders[sign][int(draw.integers(len(lenders[sign])))])

    return Pair(voice=one(voices, VOICE), face=one(faces, FACE))


def _draw(seed: int, name: str, *stream: int) -> np.random.Generator:
    return np.random.default_rng([seed, crc32(name.encode()), *stream])

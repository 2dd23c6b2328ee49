"""One labelled utterance of a store, and what was said before it."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dashfusion_models.records import MODALITIES, Features, Modality
from dashfusion_models.said import said_before
from dashfusion_models.store import Row, Store

__all__ = ["Dataset", "Sample", "contexts", "count_readable", "is_readable", "sign_of"]

POLAR = 0.5  # a label at least this far from 0 has a sign


@dataclass(frozen=True)
class Sample:
    """One labelled utterance; its frames are read when they are asked for."""

    store: Store
    index: int
    source: str
    label: float
    modalities: frozenset[Modality] = frozenset(MODALITIES)  # the others are not used
    context: str | None = None  # what was said before it in its video

    @property
    def row(self) -> Row:
        """What is known of it beside its frames."""
        return self.store.rows[self.index]

    def features(self) -> Features:
        """Read its features."""
        features = replace(self.store[self.index], context=self.context)
        unused = {m: None for m in MODALITIES if m not in self.modalities}
        return replace(features, **unused) if unused else features

    def has(self, modality: Modality) -> bool:
        """Whether the modality is there and used."""
        there = self.row.text is not None if modality == "text" else getattr(self.row, modality)
        return bool(there) and modality in self.modalities


Dataset = Sequence[Sample]


def is_readable(row: Row, modalities: Collection[str]) -> bool:
    """Whether a row has any of the modalities; a network that reads these alone finds something."""
    return any(row.text is not None if m == "text" else getattr(row, m) for m in modalities)


def count_readable(store: Store, split: str, modalities: Collection[str]) -> int:
    """How many rows of a split have any of the modalities."""
    return sum(row.split == split and is_readable(row, modalities) for row in store.rows)


def contexts(rows: Sequence[Row]) -> list[str | None]:
    """What was said before each row in its video, oldest first; None where that is nothing.

    The rows of a video follow each other in the order of `clip_id`, numbers by their value.
    """
    videos: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        if row.video_id and row.text is not None:
            videos.setdefault(row.video_id, []).append(place)
    found: list[str | None] = [None] * len(rows)
    for places in videos.values():
        ordered = sorted(places, key=lambda i: _natural(rows[i].clip_id))
        for place, said in zip(ordered, said_before(rows[i].text for i in ordered), strict=True):
            found[place] = said
    return found


def _natural(clip_id: str) -> tuple[float, str]:
    """Sort 2 before 10, and numbers before names."""
    return (float(clip_id), "") if clip_id.isdecimal() else (math.inf, clip_id)


def sign_of(label: float) -> int:
    """-1, 0 or 1; a label nearer to 0 than POLAR has the sign 0."""
    return 0 if abs(label) < POLAR else int(np.sign(label))

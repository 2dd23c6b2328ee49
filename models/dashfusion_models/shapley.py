"""The part of each modality in a score: parts that add up, fair to all of them.

Source: Shapley, A value for n-person games, 1953. With three modalities it is computed exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from math import factorial

from dashfusion_models.calibration_groups import combination_of
from dashfusion_models.records import MODALITIES, Modality, Streams

__all__ = ["shapley_values", "subsets_of"]


def subsets_of(present: Streams[bool]) -> tuple[Streams[bool], ...]:
    """Return all subsets of what is present, the largest first, nothing last."""
    here = [m for m in MODALITIES if present[m]]
    sizes = range(len(here), -1, -1)
    return tuple(_only(some) for size in sizes for some in combinations(here, size))


def shapley_values(scores: Mapping[str, float], present: Streams[bool]) -> Streams[float | None]:
    """Return the Shapley value of each present modality; None for the others.

    `scores` has the score of each subset of what is present by its name (`combination_of`), that
    of nothing under the empty name. The values and the score of nothing add up to the score of all
    that is present: a value is the mean, over all orders in which the modalities could arrive, of
    how far the score moves as the modality arrives.
    """

    def value(modality: Modality) -> float:
        others = [m for m in MODALITIES if present[m] and m != modality]
        n = len(others) + 1
        total = 0.0
        for size in range(n):
            weight = factorial(size) * factorial(n - size - 1) / factorial(n)
            for some in combinations(others, size):
                joined, before = _only((*some, modality)), _only(some)
                total += weight * (scores[combination_of(joined)] - scores[combination_of(before)])
        return total

    return Streams(**{m: value(m) if present[m] else None for m in MODALITIES})


def _only(some: tuple[Modality, ...]) -> Streams[bool]:
    return Streams(**{m: m in some for m in MODALITIES})

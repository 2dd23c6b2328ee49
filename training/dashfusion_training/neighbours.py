"""Similar and dissimilar samples of the whole training set (paper III-D, the retrieval).

Exact: cosine similarities of all pairs, by blocked matrix products with the classes as masks. The
authors' code stores the rank of a neighbour where its index is meant; here it is the index.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Int64
from torch import Tensor

__all__ = [
    "NEAREST",
    "POSITIVES",
    "Neighbours",
    "classes_of",
    "draw_companions",
    "find_neighbours",
    "find_neighbours_of_groups",
]

NEAREST = 10  # candidates of each kind (paper)
POSITIVES = 2  # of the anchor's class
HARD = EASY = 2  # negatives: among the most, and among the least similar
BLOCK = 2048  # rows compared with everything at once


@dataclass(frozen=True)
class Neighbours:
    """Candidates of every sample, as indices; -1 fills what could not be found.

    `alike`: the most similar of the same class; `hard` and `easy`: the most and the least similar
    of the other classes. Never the sample itself.
    """

    alike: Int64[np.ndarray, "n k"]
    hard: Int64[np.ndarray, "n k"]
    easy: Int64[np.ndarray, "n k"]

    def placed(self, places: Int64[np.ndarray, " n"], count: int) -> Neighbours:
        """Return the same for samples that stand at `places` among `count`; others have none."""

        def of(candidates: Int64[np.ndarray, "n k"]) -> Int64[np.ndarray, "count k"]:
            found = np.full((count, candidates.shape[1]), -1, np.int64)
            found[places] = np.where(candidates < 0, -1, places[candidates])
            return found

        return Neighbours(*map(of, (self.alike, self.hard, self.easy)))


def classes_of(labels: Float[np.ndarray, " n"], kind: str) -> Int64[np.ndarray, " n"]:
    """Number the classes: the `rounded` label (MOSI, MOSEI) or its own `value` (CH-SIMS)."""
    keys = np.round(labels) if kind == "rounded" else np.round(labels, 4)
    return np.unique(keys + 0.0, return_inverse=True)[1].astype(np.int64)  # -0 is 0


def find_neighbours(
    vectors: Float[Tensor, "n d"], classes: Int64[np.ndarray, " n"], *, nearest: int = NEAREST
) -> Neighbours:
    """Find the candidates of every sample, on the device of `vectors`.

    Similarity is the cosine. The samples are laid in the order of their classes, so that a class is
    a slice of the similarities and masking it is free.
    """
    n = len(classes)
    order = np.argsort(classes, kind="stable")
    starts = np.flatnonzero(np.diff(classes[order], prepend=-1)).tolist()
    unit = F.normalize(vectors[torch.from_numpy(order).to(vectors.device)].float(), dim=1)
    found = np.full((3, n, nearest), -1, np.int64)
    for start, end in zip(starts, [*starts[1:], n], strict=True):
        for low in range(start, end, BLOCK):
            high = min(low + BLOCK, end)
            candidates = _search(unit, low, high, own=slice(start, end), nearest=nearest)
            for kind, columns in enumerate(candidates):
                rows = order[low:high]
                found[kind, rows, : columns.shape[1]] = order[columns.cpu().numpy()]
    return Neighbours(alike=found[0], hard=found[1], easy=found[2])


def find_neighbours_of_groups(
    vectors: Float[Tensor, "n d"],
    classes: Int64[np.ndarray, " n"],
    groups: Sequence[Hashable],
    *,
    nearest: int = NEAREST,
) -> Neighbours:
    """Find the candidates of every sample among those of its own group."""
    members: dict[Hashable, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group, []).append(place)
    found = np.full((3, len(classes), nearest), -1, np.int64)
    for some in members.values():
        places = np.array(some, np.int64)
        own = find_neighbours(vectors[places], classes[places], nearest=nearest)
        for kind, candidates in enumerate((own.alike, own.hard, own.easy)):
            found[kind, places] = np.where(candidates < 0, -1, places[candidates])
    return Neighbours(*found)


def _search(
    unit: Float[Tensor, "n d"], low: int, high: int, *, own: slice, nearest: int
) -> tuple[Int[Tensor, "b _p"], Int[Tensor, "b _h"], Int[Tensor, "b _e"]]:
    """Columns of the candidates of the rows from `low` to `high`, all of the class `own`."""
    similar = unit[low:high] @ unit.T
    itself = torch.arange(high - low, device=unit.device)
    similar[itself, itself + low] = -torch.inf
    mates = own.stop - own.start - 1
    others = len(unit) - mates - 1
    alike = similar[:, own].topk(min(nearest, mates), dim=1).indices + own.start
    similar[:, own] = -torch.inf
    hard = similar.topk(min(nearest, others), dim=1).indices
    similar[:, own] = torch.inf
    easy = similar.topk(min(nearest, others), dim=1, largest=False).indices
    return alike, hard, easy


def draw_companions(
    neighbours: Neighbours, anchor: int, draw: np.random.Generator
) -> Int64[np.ndarray, " 6"]:
    """Draw two positives and four negatives (two hard, two easy) for an anchor; -1 for none.

    Without replacement where there are enough candidates.
    """
    alike = _drawn(neighbours.alike[anchor], POSITIVES, draw)
    hard = _drawn(neighbours.hard[anchor], HARD, draw)
    # Of few others the most and the least similar are the same ones.
    others = neighbours.easy[anchor]
    left = others[~np.isin(others, hard)]
    easy = _drawn(left if (left >= 0).sum() >= EASY else others, EASY, draw)
    return np.concatenate([alike, hard, easy])


def _drawn(
    candidates: Int64[np.ndarray, " k"], count: int, draw: np.random.Generator
) -> Int64[np.ndarray, " count"]:
    there = candidates[candidates >= 0]
    if not len(there):
        return np.full(count, -1, np.int64)
    return np.asarray(draw.choice(there, count, replace=len(there) < count), np.int64)

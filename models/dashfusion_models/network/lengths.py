"""Sequences of unlike lengths computed together with hardly any padding.

Two ways, which change no result: `pack` lays several short sequences end to end in one row, so that
one large product serves all (the text encoder); `length_groups` deals sequences of like length into
groups that are computed one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int, Int64
from torch import Tensor

from dashfusion_models.network.sequence import Pieces

__all__ = ["Packed", "Rows", "length_groups", "pack"]

ROW_TOKENS = 48  # of a row of short texts; attention costs the square of a row
WIDEST, WIDER_BY = 256, 8  # of the rows that are tried where the best width is looked for
PADDING = 1.1  # how much larger than its sequences a group may be


@dataclass(frozen=True)
class Rows:
    """`r` rows of `l` tokens, in each of which several texts stand end to end.

    `positions` are those in the text and `kinds` which of two texts, as in Pieces; `together` says
    which tokens may see each other: those of one text and its context.
    """

    ids: Int[Tensor, "r l"]
    positions: Int[Tensor, "r l"]
    kinds: Int[Tensor, "r l"]
    together: Bool[Tensor, "r l l"]


@dataclass(frozen=True)
class Packed:
    """Texts in rows of one or two widths.

    `places` says where the token at (text, place) of the padded form stands among all tokens of all
    rows, one after the other. Padding points at the text's first token: it is masked wherever it
    is read.
    """

    rows: tuple[Rows, ...]
    places: Int[Tensor, "b t"]


def pack(pieces: Pieces, *, even_width: int | None = None) -> Packed:
    """Lay the texts in as few rows as first-fit, longest first, needs; padding is left out.

    Short texts have rows of their own, for a long one would make all rows wide. A text may have
    gaps, which take no place.

    With `even_width`, the width at which attention costs as much as all linear maps, the texts
    share rows of the width that costs least; looking for it pays for a large encoder only.
    """
    real = pieces.real
    lengths = real.sum(dim=1).cpu().numpy()
    within = (real.cumsum(dim=1) - 1) * real
    places = torch.zeros_like(pieces.ids)
    rows: list[Rows] = []
    start = 0
    short = lengths <= (ROW_TOKENS if even_width is None else np.inf)
    for chosen in (np.flatnonzero(short), np.flatnonzero(~short)):
        if not len(chosen):
            continue
        widest = _row_width(lengths[chosen], even_width)
        first, height, width = _first_fit(lengths[chosen], widest)
        texts = torch.from_numpy(chosen).to(real.device)
        place = torch.from_numpy(first).to(real.device)[:, None] + within[texts]
        places[texts] = start + place
        rows.append(_rows(pieces, texts, place, height=height, width=width))
        start += height * width
    return Packed(rows=tuple(rows), places=places)


def _rows(
    pieces: Pieces,
    texts: Int[Tensor, " n"],
    place: Int[Tensor, "n t"],
    *,
    height: int,
    width: int,
) -> Rows:
    """Put each real token of some texts at its `place` among the height * width of the rows."""
    real = pieces.real[texts]
    at = place[real]

    def laid(values: Int[Tensor, "n t"], rest: int = 0) -> Int[Tensor, "r l"]:
        row = values.new_full((height * width,), rest)
        row[at] = values[real]
        return row.view(height, width)

    # What is left of a row sees itself alone.
    owner = laid(texts[:, None].expand(real.shape), rest=-1)
    return Rows(
        ids=laid(pieces.ids[texts]),
        positions=laid(pieces.positions[texts]),
        kinds=laid(pieces.kinds[texts]),
        together=owner[:, :, None] == owner[:, None, :],
    )


def length_groups(lengths: Int[np.ndarray, " n"], *, fewest: int) -> list[Int64[np.ndarray, " _k"]]:
    """Deal all `n` sequences into groups, shortest first; each group holds their numbers.

    A group has at least `fewest` steps, and is closed when it would be a tenth padding.
    """
    order = np.argsort(lengths, kind="stable").astype(np.int64)
    cuts, start, steps = [], 0, 0
    for place, sequence in enumerate(order):
        length = max(1, int(lengths[sequence]))
        padded = length * (place + 1 - start)
        if steps >= fewest and padded > PADDING * (steps + length):
            cuts.append(place)
            start, steps = place, 0
        steps += length
    return np.split(order, cuts)


def _row_width(lengths: Int[np.ndarray, " b"], even_width: int | None) -> int:
    """How wide rows may be: for short texts a fixed width, or whatever costs least."""
    longest = int(max(1, lengths.max()))
    if even_width is None:
        return max(longest, int(min(ROW_TOKENS, lengths.sum())))

    def cost(widest: int) -> float:
        _, height, width = _first_fit(lengths, widest)
        return height * width * (1 + width / even_width)

    return min(range(longest, max(WIDEST, longest) + 1, WIDER_BY), key=cost)


def _first_fit(
    lengths: Int[np.ndarray, " b"], width: int
) -> tuple[Int64[np.ndarray, " b"], int, int]:
    """Where each text starts among the tokens of all rows, and the rows' number and width."""
    row_of, start_of = np.zeros((2, len(lengths)), np.int64)
    used: list[int] = []
    for text in np.argsort(-lengths, kind="stable"):
        length = int(lengths[text])
        row = next((r for r, filled in enumerate(used) if filled + length <= width), len(used))
        if row == len(used):
            used.append(0)
        row_of[text], start_of[text] = row, used[row]
        used[row] += length
    width = max([1, *used])
    start_of = np.minimum(start_of, width - 1)  # an empty text at the end of a full row
    return row_of * width + start_of, len(used), width

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

from dashfusion_models.network.sequence import Tokens

__all__ = ["Packed", "length_groups", "pack"]

ROW_TOKENS = 128  # of a packed row; attention within it costs little beside the linear maps
PADDING = 1.1  # how much larger than its sequences a group may be


@dataclass(frozen=True)
class Packed:
    """Texts end to end in `r` rows of `l` tokens.

    `positions` are those in the text; `together` says which tokens may see each other: those of
    one text. `rows` and `columns` say where the token at (text, place) of the padded form stands.
    """

    ids: Int[Tensor, "r l"]
    positions: Int[Tensor, "r l"]
    together: Bool[Tensor, "r l l"]
    rows: Int[Tensor, "b t"]
    columns: Int[Tensor, "b t"]


def pack(tokens: Tokens) -> Packed:
    """Lay the texts in as few rows as first-fit, longest first, needs; padding is left out."""
    lengths = tokens.real.sum(dim=1).cpu().numpy()
    row_of, start_of, width = _first_fit(lengths)
    b, t = tokens.ids.shape
    device = tokens.ids.device
    step = torch.arange(t, device=device).expand(b, t)
    # A text may have gaps, which take no place. Padding points at the text's first token: it is
    # masked wherever it is read.
    place = (tokens.real.cumsum(dim=1) - 1) * tokens.real
    rows = torch.from_numpy(row_of).to(device)[:, None].expand(b, t)
    columns = torch.from_numpy(start_of).to(device)[:, None] + place
    height = int(row_of.max()) + 1
    ids = torch.zeros(height, width, dtype=tokens.ids.dtype, device=device)
    positions = torch.zeros_like(ids)
    owner = torch.full_like(ids, -1)  # what is left of a row sees itself alone
    real = tokens.real
    ids[rows[real], columns[real]] = tokens.ids[real]
    positions[rows[real], columns[real]] = step[real]
    text = torch.arange(b, device=device, dtype=ids.dtype)[:, None].expand(b, t)
    owner[rows[real], columns[real]] = text[real]
    together = owner[:, :, None] == owner[:, None, :]
    return Packed(ids=ids, positions=positions, together=together, rows=rows, columns=columns)


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


def _first_fit(
    lengths: Int[np.ndarray, " b"],
) -> tuple[Int64[np.ndarray, " b"], Int64[np.ndarray, " b"], int]:
    """The row of each text, where it starts in it, and the rows' common width."""
    width = int(max(1, lengths.max(), min(ROW_TOKENS, lengths.sum())))
    row_of, start_of = np.zeros((2, len(lengths)), np.int64)
    used: list[int] = []
    for text in np.argsort(-lengths, kind="stable"):
        length = int(lengths[text])
        row = next((r for r, filled in enumerate(used) if filled + length <= width), len(used))
        if row == len(used):
            used.append(0)
        row_of[text], start_of[text] = row, used[row]
        used[row] += length
    start_of = np.minimum(start_of, width - 1)  # an empty text at the end of a full row
    return row_of, start_of, max([1, *used])

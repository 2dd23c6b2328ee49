"""What training minimises: squared error and the contrastive terms (paper III-C, III-D, III-F)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dashfusion_models.network.dashfusion import Aligned
from dashfusion_models.records import Modality, Streams

__all__ = ["Companions", "ContrastiveConfig", "contrastive_loss"]

AUTHORS_ENTRIES = 22  # entries that the code averages; 12 of them are constant zero


@dataclass(frozen=True, kw_only=True)
class ContrastiveConfig:
    """Which pairs are live and how they are weighed (METHOD.md section 3)."""

    temperature: float = 0.5  # paper: τ
    semantic_negatives: Literal["text", "cross"] = "text"
    reduction: Literal["authors", "sum"] = "authors"
    semantic: bool = True
    supervised: bool = True


@dataclass(frozen=True)
class Companions:
    """Rows, among the encoded samples, of each anchor and of the six that were drawn for it.

    -1 stands for a companion that could not be found (a class of one).
    """

    anchors: Int[Tensor, " b"]
    positives: Int[Tensor, "b 2"]
    negatives: Int[Tensor, "b 4"]


@dataclass(frozen=True)
class _Space:
    """Unit features of one space, and which rows have them."""

    features: Float[Tensor, "n d"]
    here: Bool[Tensor, " n"]


def contrastive_loss(
    aligned: Aligned,
    present: Streams[Bool[Tensor, " n"]],
    companions: Companions,
    config: ContrastiveConfig,
) -> Float[Tensor, ""]:
    """Mean over the anchors of the sum of their live pairs (eq. 5 and 11).

    A pair is live where the modality of its anchor and of its positive is there. `n` samples were
    encoded, anchors and companions together.
    """
    spaces = _spaces(aligned, present)
    total = torch.zeros(len(companions.anchors), device=aligned.h_first.device)
    for anchor, positive, positives, negative in _pairs(companions, config):
        total = total + _pair_loss(
            anchor=(spaces[anchor], companions.anchors),
            positive=(spaces[positive], positives),
            negatives=(spaces[negative], companions.negatives),
            temperature=config.temperature,
        )
    if config.reduction == "authors":
        total = total / AUTHORS_ENTRIES
    return total.mean()


def _pairs(
    companions: Companions, config: ContrastiveConfig
) -> Iterator[tuple[str, str, Int[Tensor, " b"], str]]:
    """Yield (anchor's space, positive's space, the positives' rows, negatives' space): 10 pairs."""
    others: tuple[Modality, ...] = ("vision", "audio")
    if config.semantic:
        for modality in others:
            negatives = "text" if config.semantic_negatives == "text" else modality
            yield "text", modality, companions.anchors, negatives
    if config.supervised:
        for space in ("text", "vision", "audio", "h"):
            for k in range(companions.positives.shape[1]):
                yield space, space, companions.positives[:, k], space


def _spaces(aligned: Aligned, present: Streams[Bool[Tensor, " n"]]) -> dict[str, _Space]:
    """The four spaces T, A, V and H; H asks on behalf of the text, so it needs one."""
    spaces: dict[str, _Space] = {
        m: _Space(F.normalize(features, dim=-1), present[m])
        for m, features in aligned.means.items()
    }
    return {**spaces, "h": _Space(F.normalize(aligned.h_first, dim=-1), present.text)}


def _pair_loss(
    *,
    anchor: tuple[_Space, Int[Tensor, " b"]],
    positive: tuple[_Space, Int[Tensor, " b"]],
    negatives: tuple[_Space, Int[Tensor, "b k"]],
    temperature: float,
) -> Float[Tensor, " b"]:
    """-log(e^(s+/τ) / (e^(s+/τ) + Σ e^(s-/τ))), zero where the pair is not live; s = cosine."""
    a, a_here = _take(*anchor)
    p, p_here = _take(*positive)
    n, n_here = _take(*negatives)
    closeness = (a * p).sum(-1) / temperature
    distance = torch.einsum("bd,bkd->bk", a, n) / temperature
    distance = distance.masked_fill(~n_here, -torch.inf)
    loss = torch.logsumexp(torch.cat([closeness[:, None], distance], dim=1), dim=1) - closeness
    return torch.where(a_here & p_here, loss, torch.zeros_like(loss))


def _take(space: _Space, rows: Int[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Features of some rows, and whether each is there; -1 is never there."""
    found = rows.clamp(min=0)
    return space.features[found], space.here[found] & (rows >= 0)

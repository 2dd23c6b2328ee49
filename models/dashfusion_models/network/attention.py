"""Attention that ignores what is not real, and the two blocks that are built from it.

Source: paper eq. 1 (Transformer layer, post-norm), eq. 4 and 7 (shared-query cross-attention).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dashfusion_models.network.config import NormOrder
from dashfusion_models.network.sequence import Sequence

__all__ = [
    "FeedForward",
    "MultiHeadAttention",
    "Residual",
    "SharedQueryAttention",
    "TransformerLayer",
    "attend",
]


def attend(
    query: Float[Tensor, "b q inner"],
    key: Float[Tensor, "b k inner"],
    value: Float[Tensor, "b k inner"],
    *,
    real: Bool[Tensor, "b k"],
    heads: int,
    bias: Float[Tensor, "b heads q k"] | None = None,
) -> Float[Tensor, "b q inner"]:
    """Scaled dot-product attention over the real keys, head by head; scale 1/sqrt(head width).

    `bias` is added to the scaled products.
    """
    q, k, v = (x.view(*x.shape[:2], heads, -1).transpose(1, 2) for x in (query, key, value))
    mask = real[:, None, None, :]
    if bias is not None:
        mask = bias.to(q.dtype).masked_fill(~mask, -torch.inf)
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return mixed.transpose(1, 2).flatten(2)


class MultiHeadAttention(nn.Module):
    """The standard one: four projections with biases (eq. 1, 6 and 9)."""

    def __init__(self, width: int, heads: int) -> None:
        """Build for `width` features split over `heads`."""
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)

    def forward(self, query: Float[Tensor, "b q d"], source: Sequence) -> Float[Tensor, "b q d"]:
        """Let `query` ask the real steps of `source`."""
        mixed = attend(
            self.query(query),
            self.key(source.values),
            self.value(source.values),
            real=source.real,
            heads=self.heads,
        )
        answer: Tensor = self.output(mixed)
        return answer


class SharedQueryAttention(nn.Module):
    """Several sources answer one query; their sum goes through one output projection (code).

    Query, keys and values have no bias, the output projection has one (METHOD.md, eq. 4 and 7).
    """

    def __init__(self, width: int, heads: int, head_width: int, sources: tuple[str, ...]) -> None:
        """Build with own key and value projections for each of `sources`."""
        super().__init__()
        inner = heads * head_width
        self.heads = heads
        self.query = nn.Linear(width, inner, bias=False)
        self.keys = nn.ModuleDict({m: nn.Linear(width, inner, bias=False) for m in sources})
        self.values = nn.ModuleDict({m: nn.Linear(width, inner, bias=False) for m in sources})
        self.output = nn.Linear(inner, width)

    def forward(
        self,
        query: Float[Tensor, "b q d"],
        sources: Mapping[str, Sequence],
        biases: Mapping[str, Float[Tensor, "b heads q _k"]] | None = None,
    ) -> Float[Tensor, "b q d"]:
        """Sum what `query` hears from each source, projected back to d; `biases` as in `attend`."""
        asked = self.query(query)
        heard = [
            attend(
                asked,
                self.keys[m](source.values),
                self.values[m](source.values),
                real=source.real,
                heads=self.heads,
                bias=None if biases is None else biases[m],
            )
            for m, source in sources.items()
        ]
        answer: Tensor = self.output(torch.stack(heard).sum(dim=0))
        return answer


class FeedForward(nn.Sequential):
    """Linear d -> 2d, GELU, linear 2d -> d."""

    def __init__(self, width: int, dropout: float = 0.0) -> None:
        """Build for `width` features; dropout acts after the GELU."""
        super().__init__(
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
        )


class Residual(nn.Module):
    """Adds a change to its input and normalises: LN(x + f) as printed, or the code's x + LN(f)."""

    def __init__(self, width: int, norm_order: NormOrder = "post", dropout: float = 0.0) -> None:
        """Build for `width` features; dropout acts on the change."""
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.norm_order = norm_order
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "b t d"], change: Float[Tensor, "b t d"]
    ) -> Float[Tensor, "b t d"]:
        """Return x with the change worked in."""
        change = self.dropout(change)
        joined: Tensor = (
            self.norm(x + change) if self.norm_order == "post" else x + self.norm(change)
        )
        return joined


class TransformerLayer(nn.Module):
    """Eq. 1: attention and feed-forward, each with a residual and a norm.

    With `source` the same layer is eq. 9: x asks another sequence instead of itself.
    """

    def __init__(
        self, width: int, heads: int, *, dropout: float = 0.0, norm_order: NormOrder = "post"
    ) -> None:
        """Build one layer; dropout acts on both changes and inside the feed-forward."""
        super().__init__()
        self.attention = MultiHeadAttention(width, heads)
        self.after_attention = Residual(width, norm_order, dropout)
        self.feed_forward = FeedForward(width, dropout)
        self.after_feed_forward = Residual(width, norm_order, dropout)

    def forward(self, x: Sequence, source: Sequence | None = None) -> Sequence:
        """Return x with what it found in itself, or in `source`; the mask stays."""
        source = x if source is None else source
        mixed = self.after_attention(x.values, self.attention(x.values, source))
        return Sequence(
            values=self.after_feed_forward(mixed, self.feed_forward(mixed)), real=x.real
        )

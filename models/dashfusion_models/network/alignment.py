"""Dual-stream alignment (paper III-C): text meets what was heard and seen at the same time.

The semantic half of the alignment, eq. 5, has no parameters: it is a loss on the global features
(dashfusion_training.objective).
"""

from __future__ import annotations

import torch
from torch import nn

from dashfusion_models.network.attention import SharedQueryAttention
from dashfusion_models.network.sequence import Sequence
from dashfusion_models.records import Streams

__all__ = ["LearnedTokens", "TemporalAlignment"]


class TemporalAlignment(nn.Module):
    """Eq. 4: H = X_t + CA(X_t, X_a) + CA(X_t, X_v); no norm, no feed-forward."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        """Build with `heads` of `head_width` (the code's 8 of 32)."""
        super().__init__()
        self.attention = SharedQueryAttention(width, heads, head_width, ("audio", "vision"))

    def forward(self, x: Streams[Sequence]) -> Sequence:
        """Return H, as long as the text and with its mask."""
        asked = self.attention(x.text.values, {"audio": x.audio, "vision": x.vision})
        return Sequence(values=x.text.values + asked, real=x.text.real)


class LearnedTokens(nn.Module):
    """H without temporal alignment: learned tokens, the same for all samples (paper, table IV).

    How H is replaced the paper does not say; p tokens from N(0, 0.02) are ours.
    """

    def __init__(self, width: int, tokens: int) -> None:
        """Build `tokens` tokens."""
        super().__init__()
        self.tokens = nn.Parameter(0.02 * torch.randn(tokens, width))

    def forward(self, x: Streams[Sequence]) -> Sequence:
        """Return H for as many samples as `x` has; all of it is real."""
        values = self.tokens.to(x.text.values.dtype).expand(len(x.text.values), -1, -1)
        return Sequence(
            values=values, real=torch.ones(values.shape[:2], dtype=torch.bool, device=values.device)
        )

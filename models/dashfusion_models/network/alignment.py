"""Dual-stream alignment (paper III-C): text meets what was heard and seen at the same time.

The semantic half of the alignment, eq. 5, has no parameters: it is a loss on the global features
(dashfusion_training.objective).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dashfusion_models.network.attention import SharedQueryAttention
from dashfusion_models.network.sequence import Sequence
from dashfusion_models.records import Streams

__all__ = ["LearnedTokens", "TemporalAlignment", "falloffs", "places"]


class TemporalAlignment(nn.Module):
    """Eq. 4: H = X_t + CA(X_t, X_a) + CA(X_t, X_v); no norm, no feed-forward.

    Eq. 4 compares what words and steps are, and hardly anything there tells when they were: the
    positions of frames start at zeros (in the first dashfusion-mini they had come to 0.005, beside
    features of about 1), and little of a word's place is left in the text stream (a linear map
    explains 22 % of it). `near_in_time` (ours) tells it: from the product of a word and a step the
    distance of their places in the utterance is taken, times a falloff that each head has of its
    own, as Press et al. (ICLR 2022) do within one sequence. A quarter of the heads have none.
    """

    def __init__(
        self, width: int, heads: int, head_width: int, *, near_in_time: bool = False
    ) -> None:
        """Build with `heads` of `head_width` (the code's 8 of 32)."""
        super().__init__()
        self.attention = SharedQueryAttention(width, heads, head_width, ("audio", "vision"))
        self.near_in_time = near_in_time
        self.register_buffer("falloffs", falloffs(heads), persistent=False)

    def forward(self, x: Streams[Sequence]) -> Sequence:
        """Return H, as long as the text and with its mask."""
        sources = {"audio": x.audio, "vision": x.vision}
        biases = None
        if self.near_in_time:
            words = places(x.text, last=1)  # [SEP]
            biases = {m: self._nearness(words, places(frames)) for m, frames in sources.items()}
        asked = self.attention(x.text.values, sources, biases)
        return Sequence(values=x.text.values + asked, real=x.text.real)

    def _nearness(
        self, words: Float[Tensor, "b q"], frames: Float[Tensor, "b k"]
    ) -> Float[Tensor, "b heads q k"]:
        """Minus the distance of two places times the falloff; 0 where one is no moment."""
        apart = (words[:, :, None] - frames[:, None, :]).abs().nan_to_num(0.0)
        return -self.get_buffer("falloffs")[:, None, None] * apart[:, None]


def falloffs(heads: int) -> Float[Tensor, " heads"]:
    """How fast each head forgets with distance: a quarter never, the others from 2 to 64.

    An utterance is 1 long, so the widest heads hear a half of it and the narrowest a syllable.
    """
    everywhere = heads // 4
    return torch.cat([torch.zeros(everywhere), torch.logspace(1, 6, heads - everywhere, base=2.0)])


def places(x: Sequence, *, last: int = 0) -> Float[Tensor, "b t"]:
    """Where in its utterance each step is, from 0 to 1; NaN for the first, which is no moment.

    Steps are taken to be equally long. The `last` real ones come after the end.
    """
    index = torch.arange(x.real.shape[1], device=x.real.device)
    steps = (index * x.real).amax(dim=1, keepdim=True) - last  # gaps keep their places
    place = ((index - 0.5) / steps.clamp(min=1)).clamp(0, 1)
    return place.masked_fill(index == 0, torch.nan)


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

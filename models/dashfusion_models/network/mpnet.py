"""MPNet's encoder, with the names of weights that transformers gives them.

A BERT without token types that adds to its attention a bias for how far two word pieces are apart;
all layers share it. Source: Song et al., NeurIPS 2020.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from dashfusion_models.network.bert import EncoderOutput, EncoderShape, Joined, draw_weights

__all__ = ["MPNet", "MPNetShape", "relative_buckets"]

BUCKETS = 32  # of distances, half of them for each direction
FARTHEST = 128  # word pieces; whatever is farther apart shares the last bucket
PADDING = 1  # the id of padding, and the position that padding has

# Values under which a config.json describes this encoder and no relative of it; transformers takes
# the last two to be so, whatever a config.json says.
_PLAIN = {
    "model_type": "mpnet",
    "hidden_act": "gelu",
    "pad_token_id": PADDING,
    "relative_attention_num_buckets": BUCKETS,
}


@dataclass(frozen=True, kw_only=True)
class MPNetShape(EncoderShape):
    """Sizes that a config.json of an MPNet gives."""

    vocab_size: int = 30527

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> MPNetShape | None:
        """Read a config.json; None where it describes another encoder.

        Raises:
            ValueError: the width is no multiple of the heads, or a size is not above 0.
        """
        if "model_type" not in config:
            return None
        if any(config.get(key, value) != value for key, value in _PLAIN.items()):
            return None
        return cls(**{f.name: config[f.name] for f in fields(cls) if f.name in config})


class MPNet(nn.Module):
    """Embeddings and layers, without the pooler."""

    def __init__(self, shape: MPNetShape) -> None:
        """Build it with random weights, as MPNet was before it learned."""
        super().__init__()
        self.config = shape
        self.embeddings = _Embeddings(shape)
        self.encoder = _Layers(shape)
        self.apply(lambda module: draw_weights(module, std=shape.initializer_range))

    def forward(
        self,
        input_ids: Int64[Tensor, "b t"],
        *,
        attention_mask: Tensor | None = None,
        position_ids: Int64[Tensor, "b t"] | None = None,
    ) -> EncoderOutput:
        """Encode `b` rows.

        Args:
            input_ids: word pieces.
            attention_mask: [b, t], true where a piece may be read by all, or [b, 1, t, t], true
                where the piece of the third place may read that of the fourth; None: all read all.
            position_ids: counted from 0 in each text, as a BERT's; None: a row is one text.

        Returns:
            The last layer's features of each word piece.
        """
        if position_ids is None:
            position_ids = torch.arange(input_ids.shape[1], device=input_ids.device)
            position_ids = position_ids.expand(input_ids.shape)
        hidden = self.embeddings(input_ids, position_ids)
        bias = self.encoder.bias(position_ids, attention_mask)
        for layer in self.encoder.layer:
            hidden = layer(hidden, bias)
        return EncoderOutput(hidden)


def relative_buckets(distance: Int64[Tensor, ...]) -> Int64[Tensor, ...]:
    """The bucket of each distance, from the piece that reads to the one that is read.

    Short distances have a bucket each, long ones share them on a logarithmic scale (Raffel et al.,
    JMLR 2020, as transformers computes it).
    """
    half = BUCKETS // 2
    exact = half // 2
    apart = distance.abs()
    scaled = torch.log(apart.float() / exact) / math.log(FARTHEST / exact) * (half - exact)
    shared = (exact + scaled.clamp(min=0).long()).clamp(max=half - 1)
    return torch.where(apart < exact, apart, shared) + half * (distance > 0)


class _Embeddings(nn.Module):
    def __init__(self, shape: MPNetShape) -> None:
        super().__init__()
        width = shape.hidden_size
        self.word_embeddings = nn.Embedding(shape.vocab_size, width, padding_idx=PADDING)
        self.position_embeddings = nn.Embedding(
            shape.max_position_embeddings, width, padding_idx=PADDING
        )
        self.LayerNorm = nn.LayerNorm(width, eps=shape.layer_norm_eps)
        self.dropout = nn.Dropout(shape.hidden_dropout_prob)

    def forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        # The first position of a text stands behind that of padding.
        placed = self.position_embeddings(positions + PADDING + 1)
        dropped: Tensor = self.dropout(self.LayerNorm(self.word_embeddings(ids) + placed))
        return dropped


class _Layers(nn.Module):
    def __init__(self, shape: MPNetShape) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Layer(shape) for _ in range(shape.num_hidden_layers))
        self.relative_attention_bias = nn.Embedding(BUCKETS, shape.num_attention_heads)

    def bias(
        self, positions: Int64[Tensor, "b t"], mask: Tensor | None
    ) -> Float[Tensor, "b heads t t"]:
        """What is added to the attention of every layer; masked pairs are as good as infinite."""
        buckets = relative_buckets(positions[:, None, :] - positions[:, :, None])
        bias: Tensor = self.relative_attention_bias(buckets).permute(0, 3, 1, 2).contiguous()
        if mask is None:
            return bias
        readable: Bool[Tensor, ...] = mask.bool()
        if readable.ndim == 2:
            readable = readable[:, None, None, :]
        return bias.masked_fill(~readable, torch.finfo(bias.dtype).min)


class _Layer(nn.Module):
    def __init__(self, shape: MPNetShape) -> None:
        super().__init__()
        self.attention = _Attention(shape)
        wide = nn.Linear(shape.hidden_size, shape.intermediate_size)
        self.intermediate = nn.ModuleDict({"dense": wide})
        self.output = Joined(shape, shape.intermediate_size)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        read = self.attention(hidden, bias)
        joined: Tensor = self.output(gelu(self.intermediate["dense"](read)), read)
        return joined


class _Attention(nn.Module):
    def __init__(self, shape: MPNetShape) -> None:
        super().__init__()
        self.attn = _SelfAttention(shape)
        self.LayerNorm = nn.LayerNorm(shape.hidden_size, eps=shape.layer_norm_eps)
        self.dropout = nn.Dropout(shape.hidden_dropout_prob)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        joined: Tensor = self.LayerNorm(self.dropout(self.attn(hidden, bias)) + hidden)
        return joined


class _SelfAttention(nn.Module):
    def __init__(self, shape: MPNetShape) -> None:
        super().__init__()
        width = shape.hidden_size
        self.heads = shape.num_attention_heads
        self.q = nn.Linear(width, width)
        self.k = nn.Linear(width, width)
        self.v = nn.Linear(width, width)
        self.o = nn.Linear(width, width)
        self.dropout = nn.Dropout(shape.attention_probs_dropout_prob)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        query, key, value = (
            part(hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.q, self.k, self.v)
        )
        dropped = self.dropout.p if self.training else 0.0
        bias = bias.to(query.dtype)  # in mixed precision it is the only one in full
        read = scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropped)
        attended: Tensor = self.o(read.transpose(1, 2).flatten(2))
        return attended

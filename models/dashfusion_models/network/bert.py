"""BERT's encoder, with the names of weights that transformers gives them.

Source: Devlin et al., NAACL 2019. transformers' own takes 2.5 s of processor time to import, which
was a fifth of what an analysis of a short clip costs; the numbers are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

__all__ = [
    "Bert",
    "BertShape",
    "EncoderOutput",
    "EncoderShape",
    "Joined",
    "draw_weights",
]

# Values under which a config.json describes this encoder and no relative of it.
_PLAIN = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
}


# The largest sizes that are built; twice those of the largest relatives of BERT and more.
_MOST = {
    "vocab_size": 2_000_000,
    "hidden_size": 8_192,
    "num_hidden_layers": 100,
    "num_attention_heads": 256,
    "intermediate_size": 65_536,
    "max_position_embeddings": 100_000,
    "type_vocab_size": 100,
}
_FRACTIONS = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "initializer_range",
    "layer_norm_eps",
)


def _short(value: object) -> str:
    """A value as a message shows it."""
    return str(value) if isinstance(value, float) else repr(value)[:40]


@dataclass(frozen=True, kw_only=True)
class EncoderShape:
    """Sizes that BERT and its relatives share; the defaults are those of transformers."""

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be built, or that no encoder of this kind has.

        Raises:
            ValueError: the width is no multiple of the heads, or a value is out of its bounds.
        """
        for name, most in _MOST.items():
            value = getattr(self, name, 1)
            if type(value) is not int or not 1 <= value <= most:
                raise ValueError(
                    f"{name} is {_short(value)}; it is a whole number from 1 to {most}"
                )
        for name in _FRACTIONS:
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value <= 1:
                raise ValueError(f"{name} is {_short(value)}; it is a number from 0 to 1")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is no multiple of "
                f"num_attention_heads {self.num_attention_heads}"
            )


@dataclass(frozen=True, kw_only=True)
class BertShape(EncoderShape):
    """Sizes that a config.json of a BERT gives."""

    type_vocab_size: int = 2
    pad_token_id: int | None = 0

    def __post_init__(self) -> None:
        """Refuse also an id of padding that is no word piece."""
        super().__post_init__()
        pad = self.pad_token_id
        if pad is not None and not (type(pad) is int and 0 <= pad < self.vocab_size):
            raise ValueError(f"pad_token_id is {_short(pad)}; it is the number of a word piece")

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> BertShape | None:
        """Read a config.json; None where it describes another encoder.

        Raises:
            ValueError: the width is no multiple of the heads, or a size is not above 0.
        """
        if any(config.get(key, value) != value for key, value in _PLAIN.items()):
            return None
        if "model_type" not in config:
            return None
        return cls.like(config)

    @classmethod
    def like(cls, config: Mapping[str, Any]) -> BertShape:
        """Read the sizes of any relative of BERT.

        Raises:
            ValueError: a value is out of its bounds.
        """
        return cls(**{f.name: config[f.name] for f in fields(cls) if f.name in config})


class EncoderOutput(NamedTuple):
    """What the last layer says of each word piece."""

    last_hidden_state: Float[Tensor, "b t d"]


class Bert(nn.Module):
    """Embeddings and layers, without the pooler."""

    def __init__(self, shape: BertShape) -> None:
        """Build it with random weights, as BERT was before it learned."""
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
        token_type_ids: Int64[Tensor, "b t"] | None = None,
        position_ids: Int64[Tensor, "b t"] | None = None,
    ) -> EncoderOutput:
        """Encode `b` rows.

        `attention_mask` is [b, t], true where a piece may be read by all, or [b, 1, t, t], true
        where the piece of the third place may read that of the fourth; None: all read all.
        """
        if attention_mask is not None:
            if attention_mask.ndim == 2:
                attention_mask = attention_mask[:, None, None, :]
            attention_mask = attention_mask.bool()
        hidden = self.embeddings(input_ids, token_type_ids, position_ids)
        for layer in self.encoder.layer:
            hidden = layer(hidden, attention_mask)
        return EncoderOutput(hidden)


def draw_weights(module: nn.Module, *, std: float) -> None:
    """Fill a linear map or an embedding as before any learning: no bias, padding zero."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=std)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        with torch.no_grad():
            module.weight[module.padding_idx].zero_()


class _Embeddings(nn.Module):
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        width = shape.hidden_size
        pad = shape.pad_token_id
        self.word_embeddings = nn.Embedding(shape.vocab_size, width, padding_idx=pad)
        self.position_embeddings = nn.Embedding(shape.max_position_embeddings, width)
        self.token_type_embeddings = nn.Embedding(shape.type_vocab_size, width)
        self.LayerNorm = nn.LayerNorm(width, eps=shape.layer_norm_eps)
        self.dropout = nn.Dropout(shape.hidden_dropout_prob)

    def forward(self, ids: Tensor, kinds: Tensor | None, positions: Tensor | None) -> Tensor:
        if positions is None:
            positions = torch.arange(ids.shape[1], device=ids.device)[None]
        if kinds is None:
            kinds = torch.zeros_like(ids)
        summed = self.word_embeddings(ids) + self.token_type_embeddings(kinds)
        normed: Tensor = self.LayerNorm(summed + self.position_embeddings(positions))
        dropped: Tensor = self.dropout(normed)
        return dropped


class _Layers(nn.Module):
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Layer(shape) for _ in range(shape.num_hidden_layers))


class _Layer(nn.Module):
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.attention = _Attention(shape)
        wide = nn.Linear(shape.hidden_size, shape.intermediate_size)
        self.intermediate = nn.ModuleDict({"dense": wide})
        self.output = Joined(shape, shape.intermediate_size)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        read = self.attention(hidden, mask)
        joined: Tensor = self.output(gelu(self.intermediate["dense"](read)), read)
        return joined


class _Attention(nn.Module):
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.self = _SelfAttention(shape)
        self.output = Joined(shape, shape.hidden_size)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        joined: Tensor = self.output(self.self(hidden, mask), hidden)
        return joined


class _SelfAttention(nn.Module):
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.heads = shape.num_attention_heads
        self.query = nn.Linear(shape.hidden_size, shape.hidden_size)
        self.key = nn.Linear(shape.hidden_size, shape.hidden_size)
        self.value = nn.Linear(shape.hidden_size, shape.hidden_size)
        self.dropout = nn.Dropout(shape.attention_probs_dropout_prob)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        query, key, value = (
            part(hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        dropped = self.dropout.p if self.training else 0.0
        read = scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropped)
        return read.transpose(1, 2).flatten(2)


class Joined(nn.Module):
    """A linear map whose result is added to what was there before."""

    def __init__(self, shape: EncoderShape, width: int) -> None:
        """Map from `width` features to those of a word piece."""
        super().__init__()
        self.dense = nn.Linear(width, shape.hidden_size)
        self.LayerNorm = nn.LayerNorm(shape.hidden_size, eps=shape.layer_norm_eps)
        self.dropout = nn.Dropout(shape.hidden_dropout_prob)

    def forward(self, found: Tensor, before: Tensor) -> Tensor:
        """Return the sum, normalised."""
        joined: Tensor = self.LayerNorm(self.dropout(self.dense(found)) + before)
        return joined

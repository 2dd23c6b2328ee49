"""Word pieces become tokens of the common width: a pretrained BERT and a projection."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dashfusion_models.errors import ConfigError
from dashfusion_models.network.bert import Bert, BertShape
from dashfusion_models.network.lengths import Rows, pack
from dashfusion_models.network.mpnet import MPNet, MPNetShape
from dashfusion_models.network.sequence import MAX_WORD_PIECES, Sequence, Tokens

__all__ = ["TextEncoder"]

# Of model_type, by transformers' names: BERT and what is built like it.
_RELATIVES = (
    "albert",
    "bert",
    "camembert",
    "data2vec-text",
    "ernie",
    "megatron-bert",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
)
_MOST = {  # the largest sizes of what only some relatives have
    "embedding_size": 8_192,
    "num_hidden_groups": 100,
    "inner_group_num": 100,
    "task_type_vocab_size": 100,
    "relative_attention_num_buckets": 1_000,
}
_TOLD = (  # to transformers: what describes a relative's layers
    *(field.name for field in dataclasses.fields(BertShape)),
    "hidden_act",
    "position_embedding_type",
    "use_task_id",
    *_MOST,
)


class TextEncoder(nn.Module):
    """BERT, then two bias-free linear maps, each followed by GELU, then LayerNorm (code).

    The pooler of BERT is left out: nothing reads it. Weights start at random; whoever builds a
    network for training loads the pretrained ones into `bert`.
    """

    def __init__(self, config: Mapping[str, Any], width: int) -> None:
        """Build the model that `config` (a config.json) describes.

        Raises:
            ConfigError: the configuration names no model that is known here or to transformers.
        """
        super().__init__()
        self.width = width
        try:
            self.bert = _encoder(config)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"text encoder: {error}; give a BERT-like model") from error
        # Of these it is known that the positions can be told; other relatives count their own way.
        self.packs = config.get("model_type") == "bert" or isinstance(self.bert, MPNet)
        self.project = nn.Sequential(
            nn.Linear(self.bert.config.hidden_size, width, bias=False),
            nn.GELU(),
            nn.Linear(width, width, bias=False),
            nn.GELU(),
            nn.LayerNorm(width),
        )

    def require_room(self, context_tokens: int) -> None:
        """Refuse more context than the encoder can read behind a text.

        Raises:
            ConfigError: it is a BERT that knows no second text, or has too few positions.
        """
        shape = self.bert.config
        most = shape.max_position_embeddings - MAX_WORD_PIECES - 1  # [SEP] after the context
        if isinstance(shape, MPNetShape):  # two positions count for nothing, </s> stands before it
            most -= 3
        fact = None
        if isinstance(shape, BertShape) and shape.type_vocab_size < 2:
            fact = "this text encoder knows no second text"
        elif most < context_tokens:
            fact = f"this text encoder has room for {max(0, most)}"
        if fact:
            raise ConfigError(f"context_tokens: is {context_tokens}, but {fact}; set it lower or 0")

    def forward(self, tokens: Tokens) -> Sequence:
        """Encode `b` texts; the mask stays."""
        values = self._packed(tokens) if self.packs else self._padded(tokens)
        return Sequence(values=values, real=tokens.real)

    def _padded(self, tokens: Tokens) -> Float[Tensor, "b t d"]:
        """One text a row, at once followed by what was said before it."""
        pieces = tokens.pieces()
        steps = tokens.ids.shape[1]
        row = torch.full_like(pieces.ids[:, :1], self.bert.config.pad_token_id or 0)
        row = row.expand(len(row), pieces.ids.shape[1] + 1)  # padding goes to the last place
        place = torch.where(pieces.real, pieces.positions, row.shape[1] - 1)
        ids = row.scatter(1, place, pieces.ids)[:, :-1]
        real = torch.zeros_like(row).scatter(1, place, pieces.real.long())[:, :-1]
        hidden = self.bert(input_ids=ids, attention_mask=real).last_hidden_state
        projected: Tensor = self.project(hidden[:, :steps])
        return projected

    def _packed(self, tokens: Tokens) -> Float[Tensor, "b t d"]:
        """The same, several texts in one row: texts are short and of many lengths."""
        # Of a layer's multiply-adds, those of attention are a share of width / (6 * hidden_size).
        even = 6 * self.bert.config.hidden_size if isinstance(self.bert, MPNet) else None
        packed = pack(tokens.pieces(), even_width=even)
        steps = tokens.ids.shape[1]  # the stream is the utterance's own words
        projected = [self.project(self._read(rows)).flatten(0, 1) for rows in packed.rows]
        return torch.cat(projected)[packed.places[:, :steps]]

    def _read(self, rows: Rows) -> Float[Tensor, "r l d"]:
        """Encode rows in which several texts stand end to end."""
        which = {} if isinstance(self.bert, MPNet) else {"token_type_ids": rows.kinds}
        read: Tensor = self.bert(
            input_ids=rows.ids,
            position_ids=rows.positions,
            attention_mask=rows.together[:, None],
            **which,
        ).last_hidden_state
        return read


def _encoder(config: Mapping[str, Any]) -> Any:
    """Build the encoder with random weights: ours where it is known, else that of transformers."""
    if bert := BertShape.of(config):
        return Bert(bert)
    if mpnet := MPNetShape.of(config):
        return MPNet(mpnet)
    return _relative(config)


def _relative(config: Mapping[str, Any]) -> Any:
    """Build another relative of BERT by transformers, told nothing but its sizes.

    Other keys could make transformers fetch code and run it.
    """
    kind = config.get("model_type")
    if kind not in _RELATIVES:
        raise ValueError(f"model_type is {str(kind)[:40]!r}, not one of {', '.join(_RELATIVES)}")
    BertShape.like(config)
    for name, most in _MOST.items():
        if type(size := config.get(name, 1)) is not int or not 1 <= size <= most:
            raise ValueError(f"{name} is not a whole number from 1 to {most}")
    from transformers import AutoConfig, AutoModel

    encoder = AutoConfig.for_model(kind, **{k: config[k] for k in _TOLD if k in config})
    return AutoModel.from_config(  # type: ignore[no-untyped-call]
        encoder, add_pooling_layer=False
    )

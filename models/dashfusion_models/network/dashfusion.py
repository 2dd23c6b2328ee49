"""The network: encode, align, fuse, score (paper III, figure 2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from dashfusion_models.network.alignment import LearnedTokens, TemporalAlignment
from dashfusion_models.network.config import NetworkConfig
from dashfusion_models.network.encoder import FrameEncoder
from dashfusion_models.network.fusions import build_fusion
from dashfusion_models.network.sequence import Batch, Sequence, Tokens, masked_mean
from dashfusion_models.network.text_encoder import TextEncoder
from dashfusion_models.records import Streams

__all__ = ["Aligned", "DashFusion"]


@dataclass(frozen=True)
class Aligned:
    """What stands before the fusion: the streams, H, and the features that are compared.

    `means` are X̄_m, the means over the real positions; `h_first` is H̄.
    """

    streams: Streams[Sequence]
    h: Sequence
    means: Streams[Float[Tensor, "b d"]]

    @property
    def h_first(self) -> Float[Tensor, "b d"]:
        """H̄, the first token of H (paper, figure 2)."""
        return self.h.first

    def rows(self, index: Int[Tensor, " n"]) -> Aligned:
        """Some samples, each stream cut to the longest among them."""
        return Aligned(
            streams=self.streams.map(lambda x: x.rows(index)),
            h=self.h.rows(index),
            means=self.means.map(lambda mean: mean[index]),
        )


class DashFusion(nn.Module):
    """Words, voice and face of `b` utterances in, one score each out."""

    def __init__(self, config: NetworkConfig) -> None:
        """Build with random weights."""
        super().__init__()
        self.config = config
        width = config.width
        frames = {
            "width": width,
            "heads": config.heads,
            "layers": config.encoder_layers,
            "position_dropout": config.position_dropout,
            "encoder_dropout": config.encoder_dropout,
            "bottleneck": config.frame_bottleneck,
            "feature_dropout": config.feature_dropout,
        }
        self.text_encoder = TextEncoder(config.text_encoder, width)
        if config.context_tokens:
            self.text_encoder.require_room(config.context_tokens)
        self.audio_encoder = FrameEncoder(config.audio_dims, steps=config.audio_steps, **frames)  # type: ignore[arg-type]
        self.vision_encoder = FrameEncoder(config.vision_dims, steps=config.vision_steps, **frames)  # type: ignore[arg-type]
        # An absent modality is learned tokens (ours): p for text, so that a bottleneck exists.
        self.absent_text = nn.Parameter(0.02 * torch.randn(config.bottleneck, width))
        self.absent_audio = nn.Parameter(0.02 * torch.randn(1, width))
        self.absent_vision = nn.Parameter(0.02 * torch.randn(1, width))
        self.alignment: TemporalAlignment | LearnedTokens = (
            TemporalAlignment(
                width,
                config.heads,
                config.alignment_head_width,
                near_in_time=config.near_in_time,
            )
            if config.temporal_alignment
            else LearnedTokens(width, config.bottleneck)
        )
        self.fusion = build_fusion(config)
        self.head = nn.Sequential(  # concat -> 2d -> d -> 1 (code)
            nn.Linear(self.fusion.out_width, 2 * width),
            nn.GELU(),
            nn.Linear(2 * width, width),
            nn.GELU(),
            nn.Linear(width, 1),
        )

    def forward(self, batch: Batch) -> Float[Tensor, " b"]:
        """Score a batch; the scale is that of the labels it was trained on."""
        return self.fuse(self.align(self.encode(batch), batch.present))

    def encode(self, batch: Batch) -> Streams[Sequence]:
        """Run each encoder over the samples that have its modality; other rows are empty."""
        return Streams(
            text=batch.text
            if isinstance(batch.text, Sequence)
            else _encode_rows(self.text_encoder, batch.text, batch.present.text),
            audio=_encode_rows(self.audio_encoder, batch.audio, batch.present.audio),
            vision=_encode_rows(self.vision_encoder, batch.vision, batch.present.vision),
        )

    def align(self, encoded: Streams[Sequence], present: Streams[Bool[Tensor, " b"]]) -> Aligned:
        """Put the learned tokens where a modality is absent, then align in time (eq. 4)."""
        streams = Streams(
            text=_fill(encoded.text, present.text, self.absent_text),
            audio=_fill(encoded.audio, present.audio, self.absent_audio),
            vision=_fill(encoded.vision, present.vision, self.absent_vision),
        )
        return Aligned(
            streams=streams,
            h=self.alignment(streams),
            means=streams.map(lambda x: masked_mean(x.values, x.real)),
        )

    def fuse(self, aligned: Aligned) -> Float[Tensor, " b"]:
        """Fuse and score (eq. 6 to 10)."""
        score: Tensor = self.head(self.fusion(aligned.h, aligned.streams))
        return score.squeeze(-1)


def _encode_rows(
    encoder: TextEncoder | FrameEncoder, rows: Tokens | Sequence, present: Bool[Tensor, " b"]
) -> Sequence:
    """Encode the present rows only, and lay them back among empty ones."""
    index = present.nonzero().squeeze(-1)
    if len(index) == len(present):
        everything: Sequence = encoder(rows)
        return everything
    width = encoder.width
    if not len(index):
        empty = rows.real.new_zeros(len(present), 1)
        weight = next(encoder.parameters())
        return Sequence(values=weight.new_zeros(len(present), 1, width), real=empty)
    encoded: Sequence = encoder(rows.rows(index))
    shape = (len(present), *encoded.values.shape[1:])
    values = encoded.values.new_zeros(shape).index_copy(0, index, encoded.values)
    real = encoded.real.new_zeros(shape[:2]).index_copy(0, index, encoded.real)
    return Sequence(values=values, real=real)


def _fill(stream: Sequence, present: Bool[Tensor, " b"], tokens: Float[Tensor, "n d"]) -> Sequence:
    """Replace the rows of absent samples by learned tokens, which are real."""
    if bool(present.all()):
        return stream
    b, t, d = stream.values.shape
    n = len(tokens)
    if not bool(present.any()):  # padding would only cost time
        return Sequence(
            values=tokens.to(stream.values.dtype).expand(b, n, d),
            real=stream.real.new_ones(b, n),
        )
    longer = max(t, n)
    values = stream.values.new_zeros(b, longer, d)
    values[:, :t] = stream.values
    real = stream.real.new_zeros(b, longer)
    real[:, :t] = stream.real
    learned = values.new_zeros(longer, d)
    learned = torch.cat([tokens.to(values.dtype), learned[n:]])
    is_learned = torch.arange(longer, device=real.device) < n
    here = present[:, None]
    return Sequence(
        values=torch.where(here[..., None], values, learned),
        real=torch.where(here, real, is_learned),
    )

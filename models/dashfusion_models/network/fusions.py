"""The ways to fuse H with the three streams: the paper's (III-E) and those it is compared with.

Each is a `Fusion`: it takes H and the streams and returns what the head reads. Source: paper eq. 6
to 9 for the hierarchical bottleneck fusion; table V for the others, as METHOD.md section 9 reads
it. A new one needs a class here and a line in `FUSIONS`; CONTRIBUTING.md shows it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dashfusion_models.errors import ConfigError
from dashfusion_models.network.attention import (
    FeedForward,
    SharedQueryAttention,
    TransformerLayer,
)
from dashfusion_models.network.config import NetworkConfig
from dashfusion_models.network.sequence import Sequence
from dashfusion_models.records import MODALITIES, Streams

__all__ = ["FUSIONS", "Fusion", "build_fusion"]

FIRST_TOKENS = 4  # of the three streams and H


class Fusion(nn.Module, ABC):
    """What stands between alignment and head; `out_width` is how many numbers the head reads.

    No step that is not real may change the answer, and no sample another's.
    """

    out_width: int

    @abstractmethod
    def forward(self, h: Sequence, x: Streams[Sequence]) -> Float[Tensor, "b out"]:
        """Return `out_width` numbers for each sample."""


class _Refine(nn.Module):
    """Eq. 7 and 8: the bottleneck asks the three streams, then thinks it over."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        head_width = config.width // config.heads
        self.attention = SharedQueryAttention(config.width, config.heads, head_width, MODALITIES)
        self.norm = nn.LayerNorm(config.width)
        self.feed_forward = FeedForward(config.width)
        self.feed_forward_norm = nn.LayerNorm(config.width)

    def forward(self, bottleneck: Sequence, x: Streams[Sequence]) -> Sequence:
        b = bottleneck.values
        h = self.norm(b + self.attention(b, dict(x.items())))
        return Sequence(
            values=self.feed_forward_norm(h + self.feed_forward(h)), real=bottleneck.real
        )


class _BottleneckLayer(nn.Module):
    """One layer of eq. 6 to 9: cut H to the bottleneck, refine it, hand it back to the streams."""

    def __init__(self, config: NetworkConfig, tokens: int) -> None:
        super().__init__()
        layer = {"width": config.width, "heads": config.heads, "norm_order": config.norm_order}
        self.tokens = tokens
        self.compress = TransformerLayer(**layer)  # type: ignore[arg-type]
        self.refine = _Refine(config)
        self.hand_back = nn.ModuleDict(
            {m: TransformerLayer(**layer) for m in MODALITIES}  # type: ignore[arg-type]
        )

    def forward(self, h: Sequence, x: Streams[Sequence]) -> tuple[Sequence, Streams[Sequence]]:
        whole = self.compress(h)
        bottleneck = Sequence(
            values=whole.values[:, : self.tokens], real=whole.real[:, : self.tokens]
        )
        h = self.refine(bottleneck, x)
        x = Streams(**{m: self.hand_back[m](stream, h) for m, stream in x.items()})
        return h, x


class BottleneckFusion(Fusion):
    """Eq. 6 to 9; `halve` is the paper's hierarchy, without it p stays (table V's BF)."""

    def __init__(self, config: NetworkConfig, *, halve: bool) -> None:
        """Build `fusion_layers` layers; layer l keeps max(1, p / 2^(l-1)) tokens when halving."""
        super().__init__()
        p = config.bottleneck
        self.layers = nn.ModuleList(
            _BottleneckLayer(config, max(1, p // 2**level) if halve else p)
            for level in range(config.fusion_layers)
        )
        self.out_width = FIRST_TOKENS * config.width

    def forward(self, h: Sequence, x: Streams[Sequence]) -> Float[Tensor, "b out"]:
        """Return the first tokens of X_t, X_a, X_v and H after the last layer."""
        for layer in self.layers:
            h, x = layer(h, x)
        return torch.cat([x.text.first, x.audio.first, x.vision.first, h.first], dim=-1)


class CrossAttentionFusion(Fusion):
    """Table V's cross-attention: H is never cut and the streams never change."""

    def __init__(self, config: NetworkConfig) -> None:
        """Build `fusion_layers` layers."""
        super().__init__()
        layers = range(config.fusion_layers)
        self.think = nn.ModuleList(TransformerLayer(config.width, config.heads) for _ in layers)
        self.refine = nn.ModuleList(_Refine(config) for _ in layers)
        self.out_width = config.width

    def forward(self, h: Sequence, x: Streams[Sequence]) -> Float[Tensor, "b out"]:
        """Return the first token of H."""
        for think, refine in zip(self.think, self.refine, strict=True):
            h = refine(think(h), x)
        return h.first


class Concatenation(Fusion):
    """Table V's concat, and with `layers` its concat + self-attention over [X_t; X_a; X_v; H]."""

    def __init__(self, config: NetworkConfig, *, layers: int) -> None:
        """Build with that many Transformer layers over the concatenation along time."""
        super().__init__()
        self.layers = nn.ModuleList(
            TransformerLayer(config.width, config.heads) for _ in range(layers)
        )
        self.out_width = FIRST_TOKENS * config.width

    def forward(self, h: Sequence, x: Streams[Sequence]) -> Float[Tensor, "b out"]:
        """Return the first token of each of the four segments."""
        parts = [x.text, x.audio, x.vision, h]
        joined = Sequence(
            values=torch.cat([part.values for part in parts], dim=1),
            real=torch.cat([part.real for part in parts], dim=1),
        )
        for layer in self.layers:
            joined = layer(joined)
        lengths = [part.values.shape[1] for part in parts]
        return torch.cat(
            [part[:, 0] for part in torch.split(joined.values, lengths, dim=1)], dim=-1
        )


FUSIONS: Mapping[str, Callable[[NetworkConfig], Fusion]] = MappingProxyType(
    {
        "hbf": lambda config: BottleneckFusion(config, halve=True),
        "bf": lambda config: BottleneckFusion(config, halve=False),
        "ca": CrossAttentionFusion,
        "concat": lambda config: Concatenation(config, layers=0),
        "concat-sa": lambda config: Concatenation(config, layers=config.fusion_layers),
    }
)


def build_fusion(config: NetworkConfig) -> Fusion:
    """Build the fusion that `config.fusion` names.

    Raises:
        ConfigError: there is none of that name.
    """
    if config.fusion not in FUSIONS:
        raise ConfigError(f"fusion: {config.fusion!r} is unknown; use {' or '.join(FUSIONS)}")
    return FUSIONS[config.fusion](config)

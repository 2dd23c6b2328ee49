"""Audio and vision frames become tokens of the common width (paper III-B)."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Int64
from torch import Tensor, nn

from dashfusion_models.errors import ConfigError
from dashfusion_models.network.attention import TransformerLayer
from dashfusion_models.network.lengths import length_groups
from dashfusion_models.network.sequence import Sequence

__all__ = ["FrameEncoder"]

FEWEST_STEPS = 1024  # of a group that is encoded together


class FrameEncoder(nn.Module):
    """Linear map, learned [CLS] and positions, Transformer layers, LayerNorm.

    Source: paper eq. 1 for the layers; the code for [CLS] (starts at ones), the positions (start
    at zeros) and the dropouts (METHOD.md section 1). A bottleneck before the map and the dropout of
    whole features (Tompson et al., 2015) are ours: they keep the voices of a few people from being
    learned by heart.
    """

    def __init__(
        self,
        dims: int,
        *,
        steps: int,
        width: int,
        heads: int,
        layers: int,
        position_dropout: float,
        encoder_dropout: float,
        bottleneck: int = 0,
        feature_dropout: float = 0.0,
    ) -> None:
        """Build for frames of `dims` features and at most `steps` of them.

        With a `bottleneck`, each frame is first reduced to so many numbers.
        """
        super().__init__()
        self.steps = steps
        self.width = width
        self.feature_dropout = feature_dropout
        self.narrow = nn.Linear(dims, bottleneck, bias=False) if bottleneck else nn.Identity()
        self.map = nn.Linear(bottleneck or dims, width)
        self.cls = nn.Parameter(torch.ones(width))
        self.positions = nn.Parameter(torch.zeros(steps + 1, width))
        self.dropout = nn.Dropout(position_dropout)
        self.layers = nn.ModuleList(
            TransformerLayer(width, heads, dropout=encoder_dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, frames: Sequence) -> Sequence:
        """Encode `b` sequences of frames; [CLS], which is real, comes first.

        Steps in which nothing was observed are left out, for nothing reads them; the others keep
        their positions. So the result is one token longer than the most real steps of a sequence.

        Raises:
            ConfigError: a sequence is longer than the positions that were learned.
        """
        t = frames.values.shape[1]
        if t > self.steps:
            raise ConfigError(f"frames: {t} steps; this network reads at most {self.steps}")
        frames, steps = _observed(frames)
        t = frames.values.shape[1]
        lengths = np.asarray(frames.real.sum(dim=1).cpu().numpy())
        groups = length_groups(lengths, fewest=FEWEST_STEPS)
        if len(groups) == 1:
            return self._encode(frames, steps)
        # Like lengths together: padding costs attention its square.
        parts = []
        for group in groups:
            rows = frames.rows(_to(group, frames))
            own = steps[_to(group, frames), : rows.values.shape[1]]
            parts.append(self._encode(rows, own).values)
        longer = [F.pad(part, (0, 0, 0, t + 1 - part.shape[1])) for part in parts]
        place = _to(np.argsort(np.concatenate(groups)), frames)
        return Sequence(values=torch.cat(longer)[place], real=_with_cls(frames.real))

    def _encode(self, frames: Sequence, steps: Int[Tensor, "b t"]) -> Sequence:
        """Encode frames of which each says which step of its sequence it is."""
        cls = (self.cls + self.positions[0]).expand(len(frames.real), 1, -1)
        features = frames.values
        if self.feature_dropout and self.training:
            features = F.dropout1d(features.transpose(1, 2), self.feature_dropout).transpose(1, 2)
        placed = self.map(self.narrow(features)) + self.positions[1:][steps]
        x = torch.cat([cls, placed], dim=1)
        tokens = Sequence(values=self.dropout(x), real=_with_cls(frames.real))
        for layer in self.layers:
            tokens = layer(tokens)
        normed: Float[Tensor, "b t1 d"] = self.norm(tokens.values)
        return Sequence(values=normed, real=tokens.real)


def _to(index: Int64[np.ndarray, " n"], frames: Sequence) -> Int[Tensor, " n"]:
    return torch.from_numpy(index).to(frames.values.device)


def _observed(frames: Sequence) -> tuple[Sequence, Int[Tensor, "b t"]]:
    """The real steps of each sequence, moved together, and which step each of them was."""
    real = frames.real
    most = max(1, int(real.sum(dim=1).max())) if len(real) else 1
    steps = torch.argsort(real.logical_not(), dim=1, stable=True)[:, :most]
    index = steps[..., None].expand(-1, -1, frames.values.shape[2])
    moved = Sequence(values=frames.values.gather(1, index), real=real.gather(1, steps))
    return moved, steps


def _with_cls(real: Bool[Tensor, "b t"]) -> Bool[Tensor, "b t1"]:
    """Put a real [CLS] before each mask."""
    return torch.cat([real.new_ones(len(real), 1), real], dim=1)

"""From extracted utterances to scores and to what each modality contributed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool
from torch import Tensor

from dashfusion_models.checkpoint import Checkpoint
from dashfusion_models.network.sequence import Batch
from dashfusion_models.network.sequence import Sequence as Encoded
from dashfusion_models.records import MODALITIES, Features, Modality, Streams

__all__ = ["Scored", "score", "score_encoded"]

BATCH = 4  # utterances scored together: more need memory, and hardly less time


@dataclass(frozen=True)
class Scored:
    """A score inside the label range, and the score minus that without each modality.

    A contribution is None where the modality is absent.
    """

    score: float
    contributions: Streams[float | None]


def score(
    checkpoint: Checkpoint, features: Sequence[Features], *, device: torch.device
) -> list[Scored]:
    """Score utterances in their order. The encoders run once, the fusion four times."""
    scored: list[Scored] = []
    for start in range(0, len(features), BATCH):
        batch = checkpoint.collate(features[start : start + BATCH]).to(device)
        scored += _score_batch(checkpoint, batch)
    return scored


def _score_batch(checkpoint: Checkpoint, batch: Batch) -> list[Scored]:
    with torch.inference_mode():
        encoded = checkpoint.network.encode(batch)
    return score_encoded(checkpoint, encoded, batch.present)


def score_encoded(
    checkpoint: Checkpoint, encoded: Streams[Encoded], present: Streams[Bool[Tensor, " b"]]
) -> list[Scored]:
    """Score what the encoders of `checkpoint.network` gave; the fusion runs four times."""
    network, (low, high) = checkpoint.network, checkpoint.label_range

    def without(*gone: Modality) -> list[float]:
        absent = {m: torch.zeros_like(present[m]) for m in gone}
        scores = network.fuse(network.align(encoded, replace(present, **absent)))
        clipped: list[float] = scores.float().clamp(low, high).tolist()
        return clipped

    with torch.inference_mode():
        full = without()
        left_out = {m: without(m) for m in MODALITIES}
    return [
        Scored(
            score=value,
            contributions=Streams(
                **{
                    m: value - left_out[m][row] if bool(present[m][row]) else None
                    for m in MODALITIES
                }
            ),
        )
        for row, value in enumerate(full)
    ]

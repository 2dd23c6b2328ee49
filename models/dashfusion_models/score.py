"""From extracted utterances to scores and to what each modality contributed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from dashfusion_models.checkpoint import Checkpoint
from dashfusion_models.network.sequence import Batch
from dashfusion_models.records import MODALITIES, Features, Modality, Streams

__all__ = ["Scored", "score"]

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


def _score_batch(checkpoint: Checkpoint, batch: Batch) -> Iterator[Scored]:
    network, (low, high) = checkpoint.network, checkpoint.label_range
    with torch.inference_mode():
        encoded = network.encode(batch)

        def without(*gone: Modality) -> list[float]:
            present = batch.without(*gone).present
            scores = network.fuse(network.align(encoded, present))
            clipped: list[float] = scores.float().clamp(low, high).tolist()
            return clipped

        full = without()
        left_out = {m: without(m) for m in MODALITIES}
    for row, value in enumerate(full):
        yield Scored(
            score=value,
            contributions=Streams(
                **{
                    m: value - left_out[m][row] if bool(batch.present[m][row]) else None
                    for m in MODALITIES
                }
            ),
        )

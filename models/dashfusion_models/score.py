"""From extracted utterances to scores and to what each modality contributed."""

from __future__ import annotations

<<<<<<< HEAD
from collections.abc import Iterator, Sequence
=======
from collections.abc import Sequence
>>>>>>> wt-figures
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool
from torch import Tensor

from dashfusion_models.calibration import clip, count_words
from dashfusion_models.checkpoint import Checkpoint
from dashfusion_models.network.sequence import Batch
from dashfusion_models.network.sequence import Sequence as Encoded
from dashfusion_models.records import MODALITIES, Features, Modality, Streams

__all__ = ["Scored", "score", "score_encoded"]

BATCH = 4  # utterances scored together: more need memory, and hardly less time


@dataclass(frozen=True)
class Scored:
    """A score inside the label range, and the score minus that without each modality.

    A contribution is None where the modality is absent. All scores are calibrated, each for what
    is left, where the checkpoint is; `interval` is None where it is not.
    """

    score: float
    contributions: Streams[float | None]
    interval: tuple[float, float] | None = None


def score(
    checkpoint: Checkpoint, features: Sequence[Features], *, device: torch.device
) -> list[Scored]:
    """Score utterances in their order. The encoders run once, the fusion four times."""
    scored: list[Scored] = []
    for start in range(0, len(features), BATCH):
        some = features[start : start + BATCH]
        batch = checkpoint.collate(some).to(device)
        scored += _score_batch(checkpoint, batch, some)
    return scored


<<<<<<< HEAD
def _score_batch(
    checkpoint: Checkpoint, batch: Batch, features: Sequence[Features]
) -> Iterator[Scored]:
    network = checkpoint.network
=======
def _score_batch(checkpoint: Checkpoint, batch: Batch) -> list[Scored]:
>>>>>>> wt-figures
    with torch.inference_mode():
        encoded = checkpoint.network.encode(batch)
    return score_encoded(checkpoint, encoded, batch.present)

<<<<<<< HEAD
        def without(*gone: Modality) -> list[float]:
            scores = network.fuse(network.align(encoded, batch.without(*gone).present))
            return [
                _final(checkpoint, raw, replace(one.present, **dict.fromkeys(gone, False)))
                for raw, one in zip(scores.float().tolist(), features, strict=True)
            ]
=======
>>>>>>> wt-figures

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
<<<<<<< HEAD
    for row, (value, one) in enumerate(zip(full, features, strict=True)):
        yield Scored(
            score=value,
            contributions=Streams(
                **{m: value - left_out[m][row] if one.present[m] else None for m in MODALITIES}
=======
    return [
        Scored(
            score=value,
            contributions=Streams(
                **{
                    m: value - left_out[m][row] if bool(present[m][row]) else None
                    for m in MODALITIES
                }
>>>>>>> wt-figures
            ),
            interval=_interval(checkpoint, value, one),
        )
<<<<<<< HEAD


def _final(checkpoint: Checkpoint, raw: float, present: Streams[bool]) -> float:
    """The score that is shown for what the network says of `present`."""
    if checkpoint.calibration is None:
        return clip(raw, checkpoint.label_range)
    return checkpoint.calibration.calibrated(raw, present=present)


def _interval(
    checkpoint: Checkpoint, score: float, features: Features
) -> tuple[float, float] | None:
    if checkpoint.calibration is None:
        return None
    words = None if features.text is None else count_words(features.text)
    return checkpoint.calibration.interval_of(score, present=features.present, words=words)
=======
        for row, value in enumerate(full)
    ]
>>>>>>> wt-figures

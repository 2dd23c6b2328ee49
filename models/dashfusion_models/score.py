"""From extracted utterances to scores and to what each modality contributed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool
from torch import Tensor

from dashfusion_models.calibration import clip, combination_of, count_words
from dashfusion_models.checkpoint import Checkpoint
from dashfusion_models.network.sequence import Sequence as Encoded
from dashfusion_models.records import MODALITIES, Features, Modality, Streams

__all__ = ["BATCH", "Scored", "final_score", "score", "score_encoded"]

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
    """Score utterances in their order. The encoders run once, the fusion four or five times."""
    scored: list[Scored] = []
    for start in range(0, len(features), BATCH):
        some = features[start : start + BATCH]
        batch = checkpoint.collate(some).to(device)
        with torch.inference_mode():
            encoded = checkpoint.network.encode(batch)
        words = [None if f.text is None else count_words(f.text) for f in some]
        scored += score_encoded(checkpoint, encoded, batch.present, words=words)
    return scored


def score_encoded(
    checkpoint: Checkpoint,
    encoded: Streams[Encoded],
    present: Streams[Bool[Tensor, " b"]],
    *,
    words: Sequence[int | None],
) -> list[Scored]:
    """Score what the encoders of `checkpoint.network` gave; the fusion runs four or five times.

    `words` is the number of words of each utterance, None where it has no text.
    """
    network = checkpoint.network
    rows = list(zip(*(here.tolist() for _, here in present.items()), strict=True))
    here = [Streams(text=t, audio=a, vision=v) for t, a, v in rows]

    def raw_without(*gone: Modality) -> list[float]:
        absent = {m: torch.zeros_like(present[m]) for m in gone}
        raw: Tensor = network.fuse(network.align(encoded, replace(present, **absent))).float()
        return [float(value) for value in raw]

    with torch.inference_mode():
        raw = {gone: raw_without(*gone) for gone in ((), *((m,) for m in MODALITIES))}
        if _is_cautious(checkpoint):
            raw["audio", "vision"] = raw_without("audio", "vision")
    found = []
    for row, one in enumerate(here):
        known = {
            combination_of(replace(one, **dict.fromkeys(gone, False))): values[row]
            for gone, values in raw.items()
        }
        value = final_score(checkpoint, known, one)
        pulls = {
            m: value - final_score(checkpoint, known, replace(one, **{m: False}))
            if one[m]
            else None
            for m in MODALITIES
        }
        interval = _interval(checkpoint, value, one, words[row])
        found.append(Scored(score=value, contributions=Streams(**pulls), interval=interval))
    return found


def final_score(checkpoint: Checkpoint, raw: Mapping[str, float], present: Streams[bool]) -> float:
    """The score that is shown for what the network says of `present`.

    `raw` is what it says by the names of `combination_of`: see `Calibration.calibrated`.
    """
    if checkpoint.calibration is None:
        return clip(raw[combination_of(present)], checkpoint.label_range)
    return checkpoint.calibration.calibrated(raw, present=present)


def _is_cautious(checkpoint: Checkpoint) -> bool:
    return checkpoint.calibration is not None and bool(checkpoint.calibration.caution)


def _interval(
    checkpoint: Checkpoint, score: float, present: Streams[bool], words: int | None
) -> tuple[float, float] | None:
    if checkpoint.calibration is None:
        return None
    return checkpoint.calibration.interval_of(score, present=present, words=words)

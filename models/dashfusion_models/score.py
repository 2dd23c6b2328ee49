"""From extracted utterances to scores and to what each modality and each word contributed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool
from torch import Tensor

from dashfusion_models.calibration import clip, combination_of, count_words
from dashfusion_models.checkpoint import Checkpoint
from dashfusion_models.errors import CheckpointError
from dashfusion_models.network.sequence import Sequence as Encoded
from dashfusion_models.records import MODALITIES, Features, Streams
from dashfusion_models.shapley import shapley_values, subsets_of
from dashfusion_models.text_parts import TextParts, TextWeights, parts_of_text, weigh_texts

__all__ = ["BATCH", "Scored", "final_score", "score", "score_encoded"]

BATCH = 4  # utterances scored together: more need memory, and hardly less time
_NOTHING = Streams[float | None](text=None, audio=None, vision=None)


@dataclass(frozen=True)
class Scored:
    """A score inside the label range, and why it is that.

    `base` is the score of nothing; it and the `contributions` (Shapley values) add up to the
    score. `alone` is the score from one modality by itself. Both are None where the modality is
    absent. All scores are calibrated, each for what is left, where the checkpoint is; `interval` is
    None where it is not. `text` divides the contribution of the words among them; None where there
    is no text or it was not asked for.
    """

    score: float
    contributions: Streams[float | None]
    interval: tuple[float, float] | None = None
    base: float = 0.0
    alone: Streams[float | None] = _NOTHING
    text: TextParts | None = None


def score(
    checkpoint: Checkpoint, features: Sequence[Features], *, device: torch.device
) -> list[Scored]:
    """Score utterances in their order, with the parts of modalities and words.

    The encoders run once, but for texts that follow others: their words are read by themselves
    too. The fusion runs for every subset of what is present.
    """
    scored: list[Scored] = []
    for start in range(0, len(features), BATCH):
        some = features[start : start + BATCH]
        batch = checkpoint.collate(some).to(device)
        with torch.inference_mode():
            encoded = checkpoint.network.encode(batch)
        words = [None if f.text is None else count_words(f.text) for f in some]
        found = score_encoded(checkpoint, encoded, batch.present, words=words)
        weighed = weigh_texts(checkpoint, some, batch, encoded.text)
        scored += [
            _with_text(checkpoint, one, weights)
            for one, weights in zip(found, weighed, strict=True)
        ]
    return scored


def score_encoded(
    checkpoint: Checkpoint,
    encoded: Streams[Encoded],
    present: Streams[Bool[Tensor, " b"]],
    *,
    words: Sequence[int | None],
) -> list[Scored]:
    """Score what the encoders of `checkpoint.network` gave, without the parts of the words.

    `words` is the number of words of each utterance, None where it has no text.
    """
    rows = list(zip(*(here.tolist() for _, here in present.items()), strict=True))
    found = []
    here = [Streams(text=t, audio=a, vision=v) for t, a, v in rows]
    for row, (one, raw) in enumerate(
        zip(here, _raw_scores(checkpoint, encoded, here), strict=True)
    ):
        known = {
            combination_of(some): final_score(checkpoint, raw, some) for some in subsets_of(one)
        }
        if not all(map(math.isfinite, known.values())):
            raise CheckpointError(
                f"{checkpoint.name}: gives no number; its weights are damaged: train or fetch it "
                "again"
            )
        value = known[combination_of(one)]
        found.append(
            Scored(
                score=value,
                contributions=shapley_values(known, one),
                interval=_interval(checkpoint, value, one, words[row]),
                base=known[""],
                alone=Streams(**{m: known.get(m) for m in MODALITIES}),
            )
        )
    return found


def final_score(checkpoint: Checkpoint, raw: Mapping[str, float], present: Streams[bool]) -> float:
    """The score that is shown for what the network says of `present`.

    `raw` is what it says by the names of `combination_of`: see `Calibration.calibrated`. Of nothing
    the network has learned nothing, for no sample of a training loses everything: the score of
    nothing is the calibration's, and 0 (neutral) without one.
    """
    if checkpoint.calibration is None and not combination_of(present):
        return clip(0.0, checkpoint.label_range)
    if checkpoint.calibration is None:
        return clip(raw[combination_of(present)], checkpoint.label_range)
    return checkpoint.calibration.calibrated(raw, present=present)


def _raw_scores(
    checkpoint: Checkpoint, encoded: Streams[Encoded], present: Sequence[Streams[bool]]
) -> list[dict[str, float]]:
    """What the network says of each subset of what an utterance has, by its name.

    Subsets with a voice, which is long, are fused together, and so are those without.
    """
    raw: list[dict[str, float]] = [{} for _ in present]
    cases = [(row, some) for row, here in enumerate(present) for some in subsets_of(here)[:-1]]
    for with_voice in (True, False):
        chosen = [(row, some) for row, some in cases if some.audio == with_voice]
        if not chosen:
            continue
        device = encoded.text.values.device
        index = torch.tensor([row for row, _ in chosen], device=device)
        here = Streams(
            **{m: torch.tensor([some[m] for _, some in chosen], device=device) for m in MODALITIES}
        )
        network = checkpoint.network
        with torch.inference_mode():
            aligned = network.align(Streams(**{m: x.rows(index) for m, x in encoded.items()}), here)
            scores = network.fuse(aligned).float().tolist()
        for (row, some), value in zip(chosen, scores, strict=True):
            raw[row][combination_of(some)] = value
    return raw


def _with_text(checkpoint: Checkpoint, scored: Scored, weighed: TextWeights | None) -> Scored:
    contribution, alone = scored.contributions.text, scored.alone.text
    if weighed is None or contribution is None or alone is None:
        return scored
    bare, before = weighed.raw_without_context, None
    if bare is not None:
        before = final_score(checkpoint, {"text": bare}, Streams(True, False, False))
    parts = parts_of_text(weighed, contribution, alone=alone, before=before, base=scored.base)
    return replace(scored, text=parts)


def _interval(
    checkpoint: Checkpoint, score: float, present: Streams[bool], words: int | None
) -> tuple[float, float] | None:
    if checkpoint.calibration is None:
        return None
    return checkpoint.calibration.interval_of(score, present=present, words=words)

"""Scores of texts with lent voices and faces; every text, voice and face is encoded once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch.nn.utils.rnn import pad_sequence

from dashfusion_models.calibration import count_words
from dashfusion_models.checkpoint import Checkpoint
from dashfusion_models.network.sequence import Sequence as Encoded
from dashfusion_models.reasons import disagree
from dashfusion_models.records import Modality, Progress, Streams
from dashfusion_models.score import Scored, final_score, score_encoded
from dashfusion_training.datasets import Sample
from dashfusion_training.mini.pairs import KINDS, Kind, Pair
from dashfusion_training.predict import in_batches, scoring

__all__ = ["Lent", "score_lent"]


@dataclass(frozen=True)
class Lent:
    """Scores of texts with what they are lent, NaN where they are lent nothing.

    `disagree` is True where one modality alone is positive and another negative.
    """

    scores: Float[np.ndarray, " n"]
    disagree: Bool[np.ndarray, " n"]


def score_lent(
    checkpoint: Checkpoint,
    texts: Sequence[Sample],
    voices: Sequence[Sample],
    faces: Sequence[Sample],
    pairs: Mapping[Kind, Sequence[Pair | None]],
    *,
    device: torch.device,
    report: Callable[[Progress], None] = lambda event: None,
) -> tuple[Float[np.ndarray, " n"], dict[Kind, Lent]]:
    """Scores of the texts alone, and of the texts with each kind of what they are lent.

    They are those of `dashfusion_models.score.score`, at a fraction of its time.
    """
    n, least = len(texts), checkpoint.thresholds.opposed
    only_text = Streams(text=True, audio=False, vision=False)
    alone = np.zeros(n)
    lent = {kind: Lent(np.full(n, np.nan), np.zeros(n, np.bool_)) for kind in KINDS}
    network, done = checkpoint.network, 0
    with scoring(network):
        heard = _encoded(checkpoint, voices, "audio", device)
        seen = _encoded(checkpoint, faces, "vision", device)
        for chunk, batch in in_batches(checkpoint.collate, texts, ("text",)):
            here = batch.to(device)
            encoded = network.encode(here)
            scores = network.fuse(network.align(encoded, here.present))
            alone[chunk] = [
                final_score(checkpoint, {"text": raw}, only_text) for raw in scores.float().tolist()
            ]
            words = [count_words(texts[i].row.text or "") for i in chunk]
            for kind in KINDS:
                given = [(k, p) for k, i in enumerate(chunk) if (p := pairs[kind][i]) is not None]
                if given:
                    found = _score_pairs(checkpoint, encoded.text, words, heard, seen, given)
                    places = [chunk[k] for k, _ in given]
                    lent[kind].scores[places] = [one.score for one in found]
                    lent[kind].disagree[places] = [
                        disagree(one.alone, checkpoint.label_range, least) for one in found
                    ]
            done += len(chunk)
            report(Progress("compose", done, n, "samples"))
    return alone, lent


def _score_pairs(
    checkpoint: Checkpoint,
    texts: Encoded,
    words: Sequence[int],
    heard: Sequence[Encoded],
    seen: Sequence[Encoded],
    given: Sequence[tuple[int, Pair]],
) -> list[Scored]:
    """Score some rows of a batch of texts, each with its voice and its face."""
    rows = torch.tensor([k for k, _ in given], device=texts.values.device)
    encoded = Streams(
        text=texts.rows(rows),
        audio=_side_by_side([heard[p.voice] for _, p in given]),
        vision=_side_by_side([seen[p.face] for _, p in given]),
    )
    all_there = torch.ones(len(given), dtype=torch.bool, device=rows.device)
    present = Streams(text=all_there, audio=all_there, vision=all_there)
    return score_encoded(checkpoint, encoded, present, words=[words[k] for k, _ in given])


def _encoded(
    checkpoint: Checkpoint, samples: Sequence[Sample], modality: Modality, device: torch.device
) -> list[Encoded]:
    """What the encoder of one modality makes of each sample, as sequences of one row."""
    found: dict[int, Encoded] = {}
    for chunk, batch in in_batches(checkpoint.collate, samples, (modality,)):
        together = checkpoint.network.encode(batch.to(device))[modality]
        for k, i in enumerate(chunk):
            found[i] = together.rows(torch.tensor([k], device=device))
    return [found[i] for i in range(len(samples))]


def _side_by_side(sequences: Sequence[Encoded]) -> Encoded:
    """Lay sequences of one row into one, padded to the longest."""
    return Encoded(
        values=pad_sequence([s.values[0] for s in sequences], batch_first=True),
        real=pad_sequence([s.real[0] for s in sequences], batch_first=True),
    )

"""How long scoring takes: from features to a score and its contributions, on one thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from dashfusion_models.checkpoint import Checkpoint
from dashfusion_models.features.audio import STEP_S
from dashfusion_models.records import Features, FeatureSequence
from dashfusion_models.score import BATCH, score

__all__ = ["Timing", "time_scoring", "typical_features"]

# An utterance of five seconds: what a speaker says in it, and pictures of a usual video.
SECONDS = 5.0
PICTURES_PER_SECOND = 10
SENTENCE = "well i have to say that the film was much better than i had thought it would be"
SAID_BEFORE = 3  # sentences; some sixty words, as a network with context reads them
UTTERANCES = 64


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Mean seconds of scoring one utterance, by `threads` threads of one process."""

    utterances: int
    threads: int
    seconds_each: float

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form."""
        return dict(vars(self))

    def sentence(self) -> str:
        """Say it in words."""
        return (
            f"Scoring an utterance of {SECONDS:g} s with words, voice and face takes "
            f"{1000 * self.seconds_each:.0f} ms on one thread (mean of {self.utterances})."
        )


def typical_features(checkpoint: Checkpoint, count: int) -> list[Features]:
    """Planted utterances of a usual size, with all three modalities and what was said before."""
    draw, most = np.random.default_rng(0), checkpoint.network.config

    def frames(dims: int, steps: int) -> FeatureSequence:
        values = draw.normal(size=(steps, dims)).astype(np.float32)
        return FeatureSequence(values=values, real=np.ones(steps, np.bool_))

    return [
        Features(
            text=SENTENCE,
            context=" ".join([SENTENCE] * SAID_BEFORE),
            audio=frames(checkpoint.audio.dims, min(round(SECONDS / STEP_S), most.audio_steps)),
            vision=frames(
                checkpoint.vision.dims, min(round(SECONDS * PICTURES_PER_SECOND), most.vision_steps)
            ),
        )
        for _ in range(count)
    ]


def time_scoring(
    checkpoint: Checkpoint,
    *,
    count: int = UTTERANCES,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:
    """Time `score.score`: collating, encoding, all fusions, words. One batch warms up.

    The number of torch's threads is as before afterwards.
    """
    features, cpu = typical_features(checkpoint, count), torch.device("cpu")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        score(checkpoint, features[:BATCH], device=cpu)
        start = clock()
        score(checkpoint, features, device=cpu)
        seconds = clock() - start
    finally:
        torch.set_num_threads(threads)
    return Timing(utterances=count, threads=1, seconds_each=seconds / count)

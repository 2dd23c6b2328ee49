"""The deletion test against a sum of words, whose change is known without any network."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from dashfusion_models.checkpoint import Checkpoint
from dashfusion_models.records import Features, Streams
from dashfusion_models.score import Scored
from dashfusion_models.text_parts import PiecePart, TextParts
from dashfusion_training.mini import deletion as module
from dashfusion_training.mini.deletion import deletion
from tests.training.mini.planted import Sum, checkpoint_of

SAYS = {"good": 1.5, "bad": -1.25, "fine": 0.5, "dull": -0.75, "a": 0.0, "film": 0.125}


def summed(
    checkpoint: Checkpoint, features: Sequence[Features], *, device: torch.device
) -> list[Scored]:
    """Score each text as the sum of what its words say, and say so of each word."""
    found = []
    for one in features:
        text = one.text or ""
        pieces, start = [], 0
        for word in text.split():
            start = text.index(word, start)
            pieces.append(PiecePart(start, start + len(word), SAYS[word]))
            start += len(word)
        total = sum(piece.contribution for piece in pieces)
        parts = TextParts(tuple(pieces), None)
        found.append(Scored(total, Streams(text=total, audio=None, vision=None), text=parts))
    return found


def test_the_words_of_largest_contribution_go_and_random_ones(
    tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "score", summed)
    draw = np.random.default_rng(3)
    texts = [" ".join(draw.choice(list(SAYS), size)) for size in (6, 8, 11, 14) * 25]
    found = deletion(checkpoint_of(tiny_encoder, Sum(text=1.0, audio=0.0, vision=0.0)), texts)
    chosen, random = [], []
    for text in texts:
        says = [SAYS[word] for word in text.split()]
        strongest = sorted(says, key=abs)[-3:]
        chosen.append(abs(sum(strongest)))
        random.append(np.mean([abs(sum(some)) for some in combinations(says, 3)]))
    assert found.texts == 100
    assert found.chosen == pytest.approx(np.mean(chosen), abs=1e-6)
    assert found.random == pytest.approx(np.mean(random), rel=0.1)
    assert found.ratio == pytest.approx(found.chosen / found.random)

"""Whether the words that are said to matter do: what the score loses with them, and with others.

python -m dashfusion_training.mini.deletion --checkpoint FILE --store STORE [--split test]
    [--count 500]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dashfusion_models.checkpoint import Checkpoint, load_checkpoint
from dashfusion_models.records import Features, Utterance
from dashfusion_models.score import score
from dashfusion_models.scored_words import scored_words
from dashfusion_models.store import Store
from dashfusion_training.commands import exit_code

__all__ = ["Deletion", "deletion", "main"]

DELETED = 3  # words
DRAWS = 5  # of random words
FEWEST, MOST = 6, 40  # words of a text
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Deletion:
    """Mean change of the score of `texts` without the words of largest contribution, and others."""

    texts: int
    chosen: float
    random: float

    @property
    def ratio(self) -> float:
        """How much more the chosen words matter."""
        return self.chosen / self.random if self.random else float("nan")


def deletion(checkpoint: Checkpoint, texts: Sequence[str]) -> Deletion:
    """Delete DELETED words of each text: those of largest contribution, and random ones."""
    draw = np.random.default_rng(0)
    found = score(checkpoint, [_features(text) for text in texts], device=CPU)
    before = np.array([one.score for one in found])
    largest, drawn = [], []
    for text, one in zip(texts, found, strict=True):
        words = scored_words(Utterance(0.0, 1.0, text, (), None), one.text)
        much = [-abs(word.contribution or 0.0) for word in words]
        largest.append(_without(text, np.argsort(much, kind="stable")[:DELETED].tolist()))
        drawn.append([_without(text, draw.choice(len(words), DELETED, replace=False).tolist())
                      for _ in range(DRAWS)])  # fmt: skip
    return Deletion(
        texts=len(texts),
        chosen=_change(checkpoint, largest, before),
        random=float(
            np.mean([_change(checkpoint, list(some), before) for some in zip(*drawn, strict=True)])
        ),
    )


def _change(checkpoint: Checkpoint, texts: Sequence[str], before: np.ndarray) -> float:
    found = score(checkpoint, [_features(text) for text in texts], device=CPU)
    return float(np.abs(np.array([one.score for one in found]) - before).mean())


def _features(text: str) -> Features:
    return Features(text=text, audio=None, vision=None)


def _without(text: str, places: Collection[int]) -> str:
    return " ".join(word for i, word in enumerate(text.split()) if i not in places)


def main() -> int:
    """Print what was measured; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--count", type=int, default=500)
    return exit_code(lambda: _run(parser.parse_args()))


def _run(given: argparse.Namespace) -> None:
    rows = [row.text for row in Store(given.store).rows if row.split == given.split and row.text]
    fitting = [text for text in rows if FEWEST <= len(text.split()) <= MOST and text.isascii()]
    order = np.random.default_rng(0).permutation(len(fitting))[: given.count]
    found = deletion(load_checkpoint(given.checkpoint), [fitting[i] for i in order])
    print(
        f"{found.texts} texts: without the {DELETED} words of largest contribution the score moves "
        f"by {found.chosen:.3f}, without random ones by {found.random:.3f}: {found.ratio:.2f} times"
    )


if __name__ == "__main__":
    sys.exit(main())

"""The utterances that a checkpoint finds most positive and most negative, and why.

python -m dashfusion_training.mini.extremes --checkpoint FILE --store STORE [--split test]
    [--count 10] [--output FILE]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dashfusion_models.checkpoint import load_checkpoint
from dashfusion_models.records import Streams
from dashfusion_models.score import score
from dashfusion_models.store import Store
from dashfusion_training.commands import exit_code
from dashfusion_training.datasets import Sample
from dashfusion_training.files import write_whole
from dashfusion_training.mini.bench import Bench
from dashfusion_training.mini.tables import markdown

__all__ = ["Extreme", "extremes", "extremes_table", "main"]

COUNT = 10


@dataclass(frozen=True, kw_only=True)
class Extreme:
    """One utterance: its words, its score inside the label range, and what made it."""

    id: str
    words: str | None
    score: float
    label: float
    contributions: Streams[float | None]


def extremes(
    bench: Bench, source: str, *, split: str = "test", count: int = COUNT
) -> tuple[list[Extreme], list[Extreme]]:
    """The `count` most positive utterances and the `count` most negative, the strongest first.

    Fewer where there are not so many.

    Raises:
        CheckpointError: the checkpoint was made for other features than the store's.
        DataError: no sample in the split, or a label that cannot be used.
    """
    samples = bench.samples(source, split)
    order = np.argsort(bench.scores(samples), kind="stable")
    highest = [samples[i] for i in order[::-1][:count]]
    lowest = [samples[i] for i in order[:count]]
    return _scored(bench, highest), _scored(bench, lowest)


def _scored(bench: Bench, samples: Sequence[Sample]) -> list[Extreme]:
    features = [sample.features() for sample in samples]
    found = score(bench.checkpoint, features, device=bench.device)
    return [
        Extreme(
            id=sample.row.id,
            words=read.text,
            score=scored.score,
            label=sample.label,
            contributions=scored.contributions,
        )
        for sample, read, scored in zip(samples, features, found, strict=True)
    ]


def extremes_table(found: Sequence[Extreme]) -> str:
    """Return a Markdown table; a modality that is absent has a dash."""
    head = ("score", "label", "by words", "by voice", "by face", "words", "id")
    rows = [
        (
            f"{one.score:+.2f}",
            f"{one.label:+.2f}",
            *(f"{pull:+.2f}" if pull is not None else "-" for _, pull in one.contributions.items()),
            one.words or "-",
            one.id,
        )
        for one in found
    ]
    return markdown(head, rows)


def main() -> int:
    """Print the two tables; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--output", type=Path, help="write the tables here too")
    return exit_code(lambda: _run(parser.parse_args()))


def _run(given: argparse.Namespace) -> None:
    name = given.store.name
    bench = Bench(
        path=given.checkpoint,
        checkpoint=load_checkpoint(given.checkpoint),
        stores={name: Store(given.store)},
        device=torch.device("cpu"),
    )
    high, low = extremes(bench, name, split=given.split, count=given.count)
    text = f"Most positive:\n\n{extremes_table(high)}\n\nMost negative:\n\n{extremes_table(low)}"
    print(text)
    if given.output:
        write_whole(given.output, text + "\n")


if __name__ == "__main__":
    sys.exit(main())

"""A checkpoint stored in another way, and what that costs on validation texts.

    python -m dashfusion_training.mini.storage --checkpoint FILE --output FILE --storage int8
        [--stores STORE ...] [--limit N] [--force]

Writes the copy and compares both files on the words of the stores' validation splits, with what was
said before them. The test splits are left alone: how a file is stored is a choice.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dashfusion_models.checkpoint import load_checkpoint, save_checkpoint
from dashfusion_models.errors import ConfigError
from dashfusion_models.storage import STORAGES, Storage
from dashfusion_models.store import Store
from dashfusion_training.commands import exit_code
from dashfusion_training.evaluate import who_of
from dashfusion_training.files import writing
from dashfusion_training.metrics import correlation, paired_bootstrap
from dashfusion_training.mini.bench import Bench
from dashfusion_training.mini.pairs import sampled
from dashfusion_training.mini.tables import interval_text, markdown, number_text

__all__ = ["Cost", "compared", "convert", "main"]

SEED = 1111  # of which texts are taken
MEGA = 1e6


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What the words of one store's validation split lose by another storage.

    `interval` is the 95 % interval of what the correlation loses, over videos.
    """

    source: str
    n: int
    corr: float | None
    corr_after: float | None
    interval: tuple[float, float] | None
    mae: float
    mae_after: float
    largest_change: float


def convert(checkpoint: Path, output: Path, storage: Storage) -> None:
    """Write the checkpoint once more, stored in another way.

    Raises:
        CheckpointError: it is none.
        TrainingError: the file cannot be written.
    """
    loaded = load_checkpoint(checkpoint)
    with writing(output):
        save_checkpoint(loaded, output, storage=storage)


def compared(
    before: Path, after: Path, stores: Sequence[Store], *, limit: int | None = None
) -> Iterator[Cost]:
    """Yield what each store's validation texts lose from one file to the other.

    `limit` is how many texts of a store are taken, drawn by their ids; all if None.

    Raises:
        CheckpointError: a file is none, or was made for other features.
        DataError: a store has no validation split.
    """
    named = {store.folder.name: store for store in stores}
    was, now = (
        Bench(path=path, checkpoint=load_checkpoint(path), stores=named, device=torch.device("cpu"))
        for path in (before, after)
    )
    for source in named:
        texts = [s for s in was.samples(source, "valid") if s.has("text")]
        chosen = sampled(texts, limit, SEED)
        label = np.array([sample.label for sample in chosen])
        scores, later = (bench.scores(chosen, ("text",)) for bench in (was, now))
        yield Cost(
            source=source,
            n=len(chosen),
            corr=correlation(label, scores),
            corr_after=correlation(label, later),
            interval=paired_bootstrap(correlation, label, scores, later, who_of(chosen)),
            mae=float(np.abs(label - scores).mean()),
            mae_after=float(np.abs(label - later).mean()),
            largest_change=float(np.abs(later - scores).max()),
        )


def _table(costs: Iterator[Cost]) -> str:
    head = ("", "n", "Corr", "Corr after", "loses", "MAE", "MAE after", "largest change")
    return markdown(
        head,
        [
            (
                one.source,
                f"{one.n:,}",
                _four(one.corr),
                _four(one.corr_after),
                interval_text(one.interval),
                _four(one.mae),
                _four(one.mae_after),
                number_text(one.largest_change),
            )
            for one in costs
        ],
    )


def _four(value: float | None) -> str:
    """Four decimals: what a storage costs is seen in the last ones."""
    return "-" if value is None else f"{value:.4f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert, compare and print; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--storage", choices=STORAGES, required=True)
    parser.add_argument("--stores", type=Path, nargs="+", default=[], help="to compare both on")
    parser.add_argument("--limit", type=int, help="so many texts of a store; all if not given")
    parser.add_argument("--force", action="store_true", help="write over an existing file")
    asked = parser.parse_args(arguments)
    return exit_code(lambda: _run(asked))


def _run(asked: argparse.Namespace) -> None:
    if asked.output.exists() and not asked.force:
        raise ConfigError(f"{asked.output}: exists; give another name or --force")
    stores = [Store(folder) for folder in asked.stores]
    convert(asked.checkpoint, asked.output, asked.storage)
    sizes = [path.stat().st_size / MEGA for path in (asked.checkpoint, asked.output)]
    print(f"{sizes[0]:.2f} MB, {asked.storage}: {sizes[1]:.2f} MB")
    if stores:
        print(_table(compared(asked.checkpoint, asked.output, stores, limit=asked.limit)))


if __name__ == "__main__":
    sys.exit(main())

"""What a larger text encoder says of each training text, learned from the texts of other videos.

    python -m dashfusion_training.mini.teach --text-encoder FOLDER --stores STORE [STORE ...]
        --output FOLDER [--preset mini-teacher] [--set KEY=VALUE ...] [--folds 4] [--only K]
        [--seed 1111] [--device cuda]

Trains once a fold and scores the videos that were left out, to OUTPUT/seed-N/fold-K.csv; when all
folds are there, OUTPUT/seed-N.csv holds all of them, for the key `teachers` of a training. `--only`
does one fold, so that several processes can share the work; a fold that is there is not done again,
and one that was stopped goes on.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from dashfusion_models.device import pick_device
from dashfusion_models.store import Store
from dashfusion_training.commands import exit_code, preset_with
from dashfusion_training.config import TrainConfig, changed
from dashfusion_training.datasets import Sample, load_dataset
from dashfusion_training.files import read_table, write_table
from dashfusion_training.loop import Splits
from dashfusion_training.mini.fold_training import SharedTexts, to_the_end, trained
from dashfusion_training.mini.folds import deal
from dashfusion_training.predict import predict

__all__ = ["COLUMNS", "main", "teach"]

COLUMNS = ("id", "label", "prediction")


def teach(
    stores: Mapping[str, Store],
    config: TrainConfig,
    output: Path,
    *,
    folds: int,
    only: int | None = None,
    device: torch.device,
) -> None:
    """Train the folds that are not there yet, all or one, and join them when all are there.

    Raises:
        DataError: labels or splits that cannot be used.
        TrainingError: the loss is no longer a number, or a folder cannot be written.
        WeightsError: the text encoder is missing.
    """
    config = to_the_end(config)
    samples = load_dataset(dict(stores), "train", config)
    fold_of = deal([_video(sample) for sample in samples], folds)
    mine = output / f"seed-{config.seed}"
    mine.mkdir(parents=True, exist_ok=True)
    for fold in range(folds):
        path = mine / f"fold-{fold + 1}.csv"
        if path.exists() or only not in (None, fold + 1):
            continue
        left_out = [s for s in samples if fold_of[_video(s)] == fold]
        others = [s for s in samples if fold_of[_video(s)] != fold]
        _teach_one(stores, config, others, left_out, path, device=device)
    written = [mine / f"fold-{fold + 1}.csv" for fold in range(folds)]
    if all(path.exists() for path in written):
        rows = [row for path in written for row in read_table(path)]
        write_table(output / f"seed-{config.seed}.csv", COLUMNS, rows)


def _teach_one(
    stores: Mapping[str, Store],
    config: TrainConfig,
    others: list[Sample],
    left_out: list[Sample],
    path: Path,
    *,
    device: torch.device,
) -> None:
    """Train on `others` and write what is predicted of those left out."""
    splits = Splits(others, _valid(stores, config))
    folder = path.with_suffix("")
    found = trained(stores, splits, config, folder, device=device, texts=SharedTexts(), resume=True)
    scores = predict(found.network.to(device), found.collate, left_out, device=device)
    rows = [
        {"id": s.row.id, "label": f"{s.label:g}", "prediction": f"{score:.4f}"}
        for s, score in zip(left_out, scores, strict=True)
    ]
    write_table(path, COLUMNS, rows)
    shutil.rmtree(folder / "last", ignore_errors=True)


def _video(sample: Sample) -> str:
    return sample.row.video_id or sample.row.id


def _valid(stores: Mapping[str, Store], config: TrainConfig) -> dict[str, Sequence[Sample]]:
    """What shows how a training goes; nothing is chosen by it."""
    return {name: load_dataset({name: store}, "valid", config) for name, store in stores.items()}


def main() -> int:
    """Teach with one seed; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--text-encoder", required=True)
    parser.add_argument("--stores", type=Path, nargs="+", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--preset", default="mini-teacher")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--only", type=int)
    parser.add_argument("--seed", type=int, default=1111)
    parser.add_argument("--device", default="auto")
    return exit_code(lambda: _run(parser.parse_args()))


def _run(asked: argparse.Namespace) -> None:
    config = preset_with(asked.preset, asked.set)
    config = changed(config, {"text_encoder": asked.text_encoder, "seed": asked.seed})
    teach(
        {path.name: Store(path) for path in asked.stores},
        config,
        asked.output,
        folds=asked.folds,
        only=asked.only,
        device=pick_device(asked.device),
    )


if __name__ == "__main__":
    sys.exit(main())

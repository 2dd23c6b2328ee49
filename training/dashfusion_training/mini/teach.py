"""What a larger text encoder says of each training text, learned from the texts of other videos.

    python -m dashfusion_training.mini.teach --text-encoder FOLDER --stores STORE [STORE ...]
        --output FOLDER [--preset mini-teacher] [--set KEY=VALUE ...] [--folds 4] [--only K]
        [--seed 1111] [--device cuda]

Trains once a fold and scores the videos that were left out, to OUTPUT/seed-N/fold-K.csv; when all
folds are there, OUTPUT/seed-N.csv holds all of them, for the key `teachers` of a training. `--only`
does one fold, so that several processes can share the work; a fold that is there is not done again.
"""

from __future__ import annotations

import argparse
import csv
import io
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from dashfusion_models.checkpoint import load_checkpoint
from dashfusion_models.device import pick_device
from dashfusion_models.errors import ConfigError
from dashfusion_models.records import MODALITIES
from dashfusion_models.store import Store
from dashfusion_training.build import encoder_facts, new_checkpoint
from dashfusion_training.commands import exit_code
from dashfusion_training.config import TrainConfig, changed, read_preset, with_settings
from dashfusion_training.datasets import Sample, load_dataset
from dashfusion_training.files import read_table, write_whole
from dashfusion_training.loop import Splits, fit
from dashfusion_training.mini.folds import deal
from dashfusion_training.predict import predict
from dashfusion_training.processes import ALONE
from dashfusion_training.run import Run
from dashfusion_training.sources import feature_specs

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
    # The weights that the last epoch leaves are kept: nothing is chosen by those left out.
    config = changed(config, {"first_kept_epoch": config.epochs})
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
        _write(output / f"seed-{config.seed}.csv", [r for p in written for r in read_table(p)])


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
    encoder, _ = encoder_facts(config.text_encoder, offline=True)
    audio, vision = feature_specs(stores, frozenset(MODALITIES) & set(config.modalities))
    checkpoint = new_checkpoint(config, encoder, others, audio=audio, vision=vision)
    folder = path.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)
    run = Run(folder, config, resume=False)
    fit(checkpoint, Splits(others, _valid(stores, config)), config, run, device=device, team=ALONE)
    run.close()
    shutil.rmtree(folder / "last", ignore_errors=True)
    trained = load_checkpoint(run.best)  # the running mean of the weights, if there is one
    scores = predict(trained.network.to(device), trained.collate, left_out, device=device)
    rows = [
        {"id": s.row.id, "label": f"{s.label:g}", "prediction": f"{score:.4f}"}
        for s, score in zip(left_out, scores, strict=True)
    ]
    _write(path, rows)


def _video(sample: Sample) -> str:
    return sample.row.video_id or sample.row.id


def _valid(stores: Mapping[str, Store], config: TrainConfig) -> dict[str, Sequence[Sample]]:
    """What shows how a training goes; nothing is chosen by it."""
    return {name: load_dataset({name: store}, "valid", config) for name, store in stores.items()}


def _write(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_whole(path, text.getvalue())


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
    for setting in asked.set:
        if "=" not in setting:
            raise ConfigError(f"--set {setting}: has no '='; give KEY=VALUE")
    settings = dict(setting.split("=", 1) for setting in asked.set)
    config = with_settings(read_preset(asked.preset), settings)
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

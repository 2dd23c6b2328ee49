"""dashfusion-mini on people whom it never met: cross-validation that leaves whole videos out.

    python -m dashfusion_training.mini.crossval --start FILE --stores FOLDER --output FOLDER
        [--preset mini-fusion] [--set KEY=VALUE ...] [--folds 4] [--seed 1111 ...]

Trains once a fold and a seed and writes the scores of those left out, from every combination of
modalities, to OUTPUT/seed-N/fold-K/WAY.csv; a fold that is there is not trained again. The MOSI
clips are scored in four ways (WAYS): with official or recognised words, with or without what was
said before; the Javanese clips in one. `summary` makes the tables of it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from dashfusion_models.errors import TrainingError
from dashfusion_models.store import Store
from dashfusion_training.build import start_facts
from dashfusion_training.calibration.held_out import COLUMNS, Predictions, predictions_of
from dashfusion_training.commands import exit_code, preset_with
from dashfusion_training.config import TrainConfig, changed
from dashfusion_training.datasets import Sample, load_dataset
from dashfusion_training.files import write_table, write_whole
from dashfusion_training.mini.fold_training import SharedTexts, to_the_end, trained
from dashfusion_training.mini.folds import Fold, folds_of

__all__ = ["SOURCES", "WAYS", "cross_validate", "main", "write_predictions"]

SOURCES = ("mosi_clips", "mosi_text", "mosei_text", "ravdess", "javanese", "faces")
# Where they are there: copies made by `rough`, comments of everyday life, voices of more languages.
MORE = ("ravdess_rough", "faces_rough", "goemotions", "nemo", "emospeech_india", "korean")
SETTINGS = "settings.json"
HEARD = "mosi_recognised"  # made by `recognised`
CPU = torch.device("cpu")
# Way of scoring the MOSI clips -> (recognised words, with what was said before).
WAYS: Mapping[str, tuple[bool, bool]] = {
    "official": (False, True),
    "official-alone": (False, False),
    "recognised": (True, True),
    "recognised-alone": (True, False),
}


def cross_validate(
    stores: Mapping[str, Store],
    heard: Store,
    config: TrainConfig,
    output: Path,
    *,
    folds: int,
    texts: SharedTexts | None = None,
) -> None:
    """Train each fold that is not there yet and write the scores of those left out.

    Texts are encoded once for all folds, where the text encoder is not trained; `texts` shares them
    with other seeds.

    Raises:
        DataError: labels or splits that cannot be used.
        TrainingError: the loss is no longer a number, or a folder cannot be written.
        WeightsError: the text encoder is missing.
    """
    spoken = {s.row.id: s for s in load_dataset({HEARD: heard}, "train", config)}
    config = to_the_end(config)
    texts = texts or SharedTexts()
    mine = output / f"seed-{config.seed}"
    _require_same(mine / SETTINGS, config, folds)
    for number, fold in enumerate(folds_of(stores, config, folds=folds), start=1):
        folder = mine / f"fold-{number}"
        if (folder / "javanese.csv").exists():
            continue
        checkpoint = trained(stores, fold.splits, config, folder / "run", device=CPU, texts=texts)
        for way, samples in _ways(fold, spoken).items():
            write_predictions(predictions_of(checkpoint, samples, device=CPU), folder / way)
        acted = predictions_of(checkpoint, fold.left_out["javanese"], device=CPU)
        write_predictions(acted, folder / "javanese")


def _require_same(path: Path, config: TrainConfig, folds: int) -> None:
    """Write down what the folds are made with, or refuse folds that were made with other things.

    Raises:
        TrainingError: they were.
    """
    made_with = {"folds": folds, "config": config.to_dict(), **start_facts(config)}
    text = json.dumps(made_with, indent=1, sort_keys=True)
    if path.exists() and path.read_text("utf-8") != text:
        raise TrainingError(f"{path}: was made with other settings; name another folder")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)


def write_predictions(found: Predictions, path: Path) -> None:
    """Write scores as `held_out.read_predictions` reads them, to `path` with the ending .csv."""
    rows = zip(
        found.id, found.label, found.raw, found.present, found.words, found.video,
        found.confidence, found.duration_s, strict=True,
    )  # fmt: skip
    known = (["" if value != value else value for value in row] for row in rows)  # NaN: unknown
    named = (dict(zip(COLUMNS, row, strict=True)) for row in known)
    write_table(path.with_suffix(".csv"), COLUMNS, named)


def _ways(fold: Fold, spoken: Mapping[str, Sample]) -> dict[str, list[Sample]]:
    """The clips that were left out, in each way; one in which no words were heard is kept."""
    found = {}
    for way, (recognised, context) in WAYS.items():
        samples = fold.left_out["mosi_clips"]
        if recognised:
            samples = [spoken[s.row.id] for s in samples]
        found[way] = samples if context else [replace(s, context=None) for s in samples]
    return found


def main() -> int:
    """Run the folds of each seed; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in ("start", "stores", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--preset", default="mini-fusion")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--seed", type=int, nargs="+", default=[1111])
    return exit_code(lambda: _run(parser.parse_args()))


def _run(asked: argparse.Namespace) -> None:
    config = preset_with(asked.preset, asked.set)
    rough = [name for name in MORE if (asked.stores / name).is_dir()]
    stores = {name: Store(asked.stores / name) for name in (*SOURCES, *rough)}
    heard, texts = Store(asked.stores / HEARD), SharedTexts()
    for seed in asked.seed:
        of_seed = changed(config, {"start": str(asked.start), "seed": seed})
        cross_validate(stores, heard, of_seed, asked.output, folds=asked.folds, texts=texts)


if __name__ == "__main__":
    sys.exit(main())

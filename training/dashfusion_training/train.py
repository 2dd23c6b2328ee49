"""A whole training: data, network, loop and report, in one folder that can be resumed."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from dashfusion_models.checkpoint import Checkpoint
from dashfusion_models.store import Store
from dashfusion_models.weights import locate
from dashfusion_training.build import new_checkpoint
from dashfusion_training.config import TrainConfig
from dashfusion_training.datasets import Dataset, count_batches, load_dataset
from dashfusion_training.loop import Splits, fit
from dashfusion_training.run import Position, Run, write_whole

__all__ = ["Training", "train"]

LOG_EVERY = 50  # steps
PACKAGES = ("dashfusion", "torch", "transformers", "librosa", "mediapipe", "numpy")


@dataclass(frozen=True, kw_only=True)
class Training:
    """What is to be trained, on what and where."""

    config: TrainConfig
    stores: Mapping[str, Store]
    output: Path
    resume: bool
    device: torch.device
    offline: bool = False


def train(
    training: Training,
    *,
    report: Callable[[Position, float, int], None] = lambda at, loss, batches: None,
) -> Path:
    """Train, or go on; return the best checkpoint.

    `report` is told the position, the loss and the number of batches in an epoch, every step.

    Raises:
        DataError: labels or splits that cannot be used.
        TrainingError: the folder holds another training, or the loss is no longer a number.
        WeightsError: the text encoder is missing.
    """
    config = training.config
    splits = _splits(training)
    run = Run(training.output, config, resume=training.resume)
    checkpoint = _new(training, splits)
    batches = count_batches(splits.train, config)

    def follow(at: Position, loss: float) -> None:
        if at.step % LOG_EVERY == 0:
            run.log(kind="step", epoch=at.epoch, step=at.step, loss=round(loss, 5))
        report(at, loss, batches)

    run.log(kind="start", environment=_environment(training.device))
    at = fit(checkpoint, splits, config, run, device=training.device, report=follow)
    write_whole(training.output / "report.json", json.dumps(_report(training, at), indent=1))
    return run.best


def _splits(training: Training) -> Splits:
    config, stores = training.config, dict(training.stores)
    valid: dict[str, Dataset] = {}
    for name, store in stores.items():
        if any(row.split == "valid" for row in store.rows):
            valid[name] = load_dataset({name: store}, "valid", config)
    if not valid:
        load_dataset(stores, "valid", config)  # says that there is none
    return Splits(train=load_dataset(stores, "train", config), valid=valid)


def _new(training: Training, splits: Splits) -> Checkpoint:
    config = training.config
    encoder = Path(config.text_encoder)
    if not encoder.is_dir():
        encoder = locate(config.text_encoder, offline=training.offline)
    store = next(iter(training.stores.values()))
    checkpoint = new_checkpoint(
        config, encoder, splits.train, audio=store.audio, vision=store.vision
    )
    return replace(checkpoint, training={"data": _data(training)})


def _data(training: Training) -> dict[str, dict[str, int]]:
    """How many samples each source has in each split."""
    counted: dict[str, dict[str, int]] = {}
    for name, store in training.stores.items():
        counted[name] = {}
        for row in store.rows:
            counted[name][row.split] = counted[name].get(row.split, 0) + 1
    return counted


def _environment(device: torch.device) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
    }


def _report(training: Training, at: Position) -> dict[str, Any]:
    return {
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "config": training.config.to_dict(),
        "data": _data(training),
        "seed": training.config.seed,
        "steps": at.step,
        "best_epoch": at.best_epoch,
        "best_valid_mae": at.best_mae,
        "environment": _environment(training.device),
    }

"""fit(): the training loop on one screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from dashfusion_models.checkpoint import Checkpoint
from dashfusion_training.config import TrainConfig
from dashfusion_training.datasets import Dataset, count_batches, epoch_batches
from dashfusion_training.evaluate import evaluate
from dashfusion_training.run import Position, Run
from dashfusion_training.step import Step

__all__ = ["Splits", "fit"]


@dataclass(frozen=True)
class Splits:
    """What is trained on, and, per source, what the best checkpoint is chosen by."""

    train: Dataset
    valid: dict[str, Dataset]


def fit(
    checkpoint: Checkpoint,
    splits: Splits,
    config: TrainConfig,
    run: Run,
    *,
    device: torch.device,
    report: Callable[[Position, float], None],
) -> Position:
    """Train, going on where `run` stopped; the best network is in the run's best.safetensors.

    `report` is told the position and the loss after every step.

    Raises:
        TrainingError: the loss is no longer a number; the best checkpoint so far stays.
    """
    step = Step(checkpoint, config, batches=count_batches(splits.train, config), device=device)
    at = run.resume(step)
    for epoch in range(at.epoch, config.epochs + 1):
        for place, (features, labels) in enumerate(epoch_batches(splits.train, config, epoch)):
            if place < at.batch:
                continue  # done before the run was stopped
            loss = step(features, labels)
            at = at.after(loss)
            report(at, loss)
            run.save_now_and_then(at, step)
        metrics = validate(checkpoint, splits, config, device=device)
        at = run.end_epoch(at, metrics, checkpoint, config)
        run.save(at, step)
    return at


def validate(
    checkpoint: Checkpoint, splits: Splits, config: TrainConfig, *, device: torch.device
) -> dict[str, dict[str, float | None]]:
    """The validation metrics of each source."""
    return {
        source: evaluate(
            checkpoint.network,
            checkpoint.collate,
            samples,
            device=device,
            label_range=config.label_range,
        )
        for source, samples in splits.valid.items()
    }

"""A training that tells writers of its steps, that stops at one, and the log that it leaves."""

import json
from pathlib import Path
from typing import Any

import torch

from dashfusion_models.store import Store
from dashfusion_training.config import TrainConfig
from dashfusion_training.train import Training
from dashfusion_training.watch import Unwatched
from dashfusion_training.writers import OpenWriter

__all__ = ["NOON", "Stopped", "StopsAt", "log_of", "training_of"]

NOON = "2026-01-02T12:00:00"


class Stopped(Exception):
    """Power is lost."""


class StopsAt(Unwatched):
    """Loses power at the step that is told."""

    def __init__(self, step: int) -> None:
        self.left = step

    def step(self, epoch: int, epochs: int, batch: int, batches: int, loss: float) -> None:
        self.left -= 1
        if not self.left:
            raise Stopped


def training_of(store: Store, config: TrainConfig, output: Path, *to: OpenWriter) -> Training:
    """A training on the CPU that tells `to`."""
    return Training(
        config=config,
        stores={"planted": store},
        output=output,
        resume=False,
        device=torch.device("cpu"),
        log_to=to,
    )


def log_of(folder: Path) -> list[dict[str, Any]]:
    """What RUN/log.jsonl holds, line by line."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]

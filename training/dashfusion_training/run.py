"""The folder of one training: its log, its best checkpoint and all that resuming needs."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import tomli_w
import torch

from dashfusion_models.checkpoint import Checkpoint, save_checkpoint
from dashfusion_models.errors import TrainingError
from dashfusion_training.config import TrainConfig

__all__ = ["Position", "Resumable", "Run"]

SAVE_EVERY_S = 240.0
STATE = "state.pt"

SourceMetrics = dict[str, dict[str, float | None]]


@runtime_checkable
class Resumable(Protocol):
    """What a run saves and restores."""

    def state(self) -> dict[str, Any]:
        """Everything that going on later needs."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to what `state` returned."""
        ...


@dataclass(frozen=True)
class Position:
    """How far a training is: `epoch` from 1, `batch` already done in it, and the best so far."""

    epoch: int = 1
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    best_mae: float | None = None
    best_epoch: int | None = None

    def after(self, loss: float) -> Position:
        """The position one batch later."""
        return replace(
            self, batch=self.batch + 1, step=self.step + 1, loss_sum=self.loss_sum + loss
        )

    def next_epoch(self) -> Position:
        """The position at the start of the next epoch."""
        return replace(self, epoch=self.epoch + 1, batch=0, loss_sum=0.0)


class Run:
    """The folder RUN of `train`: config.toml, log.jsonl, best.safetensors, last/, report.json."""

    def __init__(self, folder: Path, config: TrainConfig, *, resume: bool) -> None:
        """Create the folder, or open it again with `resume`.

        Raises:
            TrainingError: it exists and `resume` is off, or it was made with other settings.
        """
        self.folder = folder
        self._saved = time.monotonic()
        text = tomli_w.dumps({k: v for k, v in config.to_dict().items() if v is not None})
        file = folder / "config.toml"
        if file.exists():
            if not resume:
                raise TrainingError(f"{folder}: holds a training; add --resume or name another")
            if file.read_text("utf-8") != text:
                raise TrainingError(f"{folder}: was started with other settings; name another")
        else:
            (folder / "last").mkdir(parents=True, exist_ok=True)
            write_whole(file, text)

    @property
    def best(self) -> Path:
        """The checkpoint with the least validation error so far."""
        return self.folder / "best.safetensors"

    def resume(self, step: Resumable) -> Position:
        """Restore what was saved last and return where that was; the start if nothing was."""
        path = self.folder / "last" / STATE
        if not path.exists():
            return Position()
        saved = torch.load(path, map_location="cpu", weights_only=True)
        step.restore(saved["step"])
        return Position(**saved["position"])

    def save(self, at: Position, step: Resumable) -> None:
        """Keep all that resuming needs; the former state stays until the new one is whole."""
        path = self.folder / "last" / STATE
        beside = path.with_suffix(".part")
        torch.save({"position": dataclasses.asdict(at), "step": step.state()}, beside)
        beside.replace(path)
        self._saved = time.monotonic()

    def save_now_and_then(self, at: Position, step: Resumable) -> None:
        """Save if that was not done for some minutes."""
        if time.monotonic() - self._saved > SAVE_EVERY_S:
            self.save(at, step)

    def end_epoch(
        self, at: Position, valid: SourceMetrics, checkpoint: Checkpoint, config: TrainConfig
    ) -> Position:
        """Log an epoch, keep its network if it is the best, and return the next position.

        Best is the least mean over the sources of the validation MAE, from `first_kept_epoch` on;
        a tie goes to the later (code).
        """
        errors = [m["mae"] for m in valid.values() if m["mae"] is not None]
        mae = sum(errors) / len(errors)
        kept_from = min(config.first_kept_epoch, config.epochs)
        if at.epoch >= kept_from and (at.best_mae is None or mae <= at.best_mae):
            at = replace(at, best_mae=mae, best_epoch=at.epoch)
            trained = {"config": config.to_dict(), "epoch": at.epoch, "valid": valid}
            save_checkpoint(
                replace(checkpoint, training={**checkpoint.training, **trained}),
                self.best,
                half=config.half_weights,
            )
        self.log(
            kind="epoch",
            epoch=at.epoch,
            step=at.step,
            train_loss=at.loss_sum / max(at.batch, 1),
            valid_mae=mae,
            valid=valid,
            best_epoch=at.best_epoch,
        )
        return at.next_epoch()

    def log(self, **entry: Any) -> None:
        """Append a line to log.jsonl."""
        line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S"), **entry})
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    beside.write_text(text, "utf-8")
    beside.replace(path)

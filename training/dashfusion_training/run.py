"""The folder of one training: its log, its best checkpoint and all that resuming needs."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol, cast, runtime_checkable

import tomli_w
import torch

from dashfusion_models.checkpoint import Checkpoint, save_checkpoint
from dashfusion_models.errors import TrainingError
from dashfusion_models.storage import Storage
from dashfusion_training.config import TrainConfig
from dashfusion_training.files import first_line, write_whole, writing
from dashfusion_training.processes import ALONE, Team
from dashfusion_training.request import require_same
from dashfusion_training.watch import UNWATCHED, Watcher
from dashfusion_training.writers import OpenWriter, Writers

__all__ = ["Position", "Resumable", "Run", "SourceMetrics", "require_free"]

SAVE_EVERY_S = 240.0
LOG_EVERY = 50  # steps
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
    seconds: float = 0.0  # over all sittings, with retrieval and validation

    def after(self, loss: float, seconds: float) -> Position:
        """The position one batch later."""
        return replace(
            self,
            batch=self.batch + 1,
            step=self.step + 1,
            loss_sum=self.loss_sum + loss,
            seconds=self.seconds + seconds,
        )

    def next_epoch(self) -> Position:
        """The position at the start of the next epoch."""
        return replace(self, epoch=self.epoch + 1, batch=0, loss_sum=0.0)


class Run:
    """The folder RUN of `train`: config.toml, data.json, log.jsonl, best.safetensors, last/.

    Of several processes the leading one writes; the others keep step.
    """

    def __init__(
        self,
        folder: Path,
        config: TrainConfig,
        *,
        resume: bool,
        data: Mapping[str, Any] | None = None,
        team: Team = ALONE,
        watch: Watcher = UNWATCHED,
        log_to: Sequence[OpenWriter] = (),
    ) -> None:
        """Create the folder, or open it again with `resume`; `data` says what is trained on.

        `log_to` opens the writers that show log.jsonl elsewhere; `close` finishes them.

        Raises:
            TrainingError: it exists and `resume` is off, or it was made with other settings or on
                other data.
        """
        self.folder, self.team, self.watch = folder, team, watch
        self._writers = Writers(log_to if team.leads else ())
        self._saved = self._looked = time.monotonic()
        identity = {
            "config.toml": tomli_w.dumps(
                {k: v for k, v in config.to_dict().items() if v is not None}
            ),
            "data.json": json.dumps(data or {}, indent=1, sort_keys=True),
        }
        started = (folder / "config.toml").exists()
        if not team.agree((started,)):  # nobody writes before all have looked
            raise TrainingError(f"{folder}: is not one folder for all processes; share its disk")
        if started:
            require_free(folder, resume=resume)
            require_same(folder, config, data or {})
        if team.leads and not started:
            with writing(folder):
                (folder / "last").mkdir(parents=True, exist_ok=True)
                for name in ("data.json", "config.toml"):  # the latter says that all is there
                    write_whole(folder / name, identity[name])

    @property
    def best(self) -> Path:
        """The checkpoint with the least validation error so far."""
        return self.folder / "best.safetensors"

    def resume(self, **parts: Resumable) -> Position:
        """Restore what was saved last and return where that was; the start if nothing was."""
        at = self._restored(parts)
        self._writers.begin(self.folder, epoch=at.epoch, step=at.step)
        return at

    def _restored(self, parts: Mapping[str, Resumable]) -> Position:
        path = self.folder / "last" / STATE
        if not path.exists():
            return Position()
        try:
            saved = torch.load(path, map_location="cpu", weights_only=True)
            for name, part in parts.items():
                part.restore(saved[name])
            at = Position(**saved["position"])
        except (
            EOFError,
            KeyError,
            OSError,
            RuntimeError,
            TypeError,
            ValueError,
            UnpicklingError,
        ) as error:
            raise TrainingError(
                f"{path}: is damaged or of another version ({first_line(error)}); delete it to "
                "begin again"
            ) from error
        if not self.team.agree((at.step,)):
            raise TrainingError(f"{self.folder}: processes find different states; share its disk")
        return at

    def save(self, at: Position, **parts: Resumable) -> None:
        """Keep all that resuming needs; the former state stays until the new one is whole.

        Raises:
            TrainingError: the disk is full, or the folder cannot be written.
        """
        self._saved = time.monotonic()
        if not self.team.leads:
            return
        state = {"position": dataclasses.asdict(at)}
        state |= {name: part.state() for name, part in parts.items()}
        path = self.folder / "last" / STATE
        beside = path.with_suffix(".part")
        with writing(path, beside):
            path.parent.mkdir(exist_ok=True)  # a finished training may have given it up
            with beside.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)

    def save_now_and_then(self, at: Position, **parts: Resumable) -> None:
        """Save if that was not done for some minutes."""
        if time.monotonic() - self._saved > SAVE_EVERY_S:
            self.save(at, **parts)

    def end_step(self, at: Position, loss: float, config: TrainConfig, batches: int) -> Position:
        """Return the position after one more step, having logged and shown it."""
        at = at.after(loss, self._seconds())
        if at.step % LOG_EVERY == 0:
            self.log(kind="step", epoch=at.epoch, step=at.step, loss=round(loss, 5))
        self.watch.step(at.epoch, config.epochs, at.batch, batches, loss)
        return at

    def end_epoch(
        self, at: Position, valid: SourceMetrics, checkpoint: Checkpoint, config: TrainConfig
    ) -> Position:
        """Log an epoch, keep its network if it is the best, and return the next position.

        Best is the least mean over the sources of the validation MAE, from `first_kept_epoch` on;
        a tie goes to the later (code).
        """
        mae = _mean_of("mae", valid)
        if mae is None:
            raise TrainingError(f"epoch {at.epoch}: no validation sample; check the split column")
        if not math.isfinite(mae):
            raise TrainingError(
                f"epoch {at.epoch}: validation scores are {mae}; lower the learning rate"
            )
        kept_from = min(config.first_kept_epoch, config.epochs)
        if at.epoch >= kept_from and (at.best_mae is None or mae <= at.best_mae):
            at = replace(at, best_mae=mae, best_epoch=at.epoch)
            self._keep(checkpoint, at, valid, config)
        loss = at.loss_sum / at.batch if at.batch else None  # before the first, nothing was learned
        self.log(
            kind="epoch",
            epoch=at.epoch,
            step=at.step,
            train_loss=loss,
            valid_mae=mae,
            valid=valid,
            best_epoch=at.best_epoch,
        )
        best = at.best_epoch == at.epoch
        self.watch.epoch(at.epoch, loss, mae, _mean_of("corr", valid), best)
        return replace(at, seconds=at.seconds + self._seconds()).next_epoch()

    def log(self, **entry: Any) -> None:
        """Append a line to log.jsonl and tell the writers."""
        if self.team.leads:
            line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S"), **entry})
            path = self.folder / "log.jsonl"
            with writing(path), path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
            self._writers.write(json.loads(line))

    def close(self) -> None:
        """Finish the writers."""
        self._writers.close()

    def _keep(
        self, checkpoint: Checkpoint, at: Position, valid: SourceMetrics, config: TrainConfig
    ) -> None:
        if self.team.leads:
            trained = {"config": config.to_dict(), "epoch": at.epoch, "valid": valid}
            kept = replace(
                checkpoint,
                training={**checkpoint.training, **trained},
                calibration=checkpoint.calibration if at.epoch == 0 else None,  # of the start
            )
            with writing(self.best):
                save_checkpoint(kept, self.best, storage=cast(Storage, config.storage))

    def _seconds(self) -> float:
        """Seconds since the last call."""
        before, self._looked = self._looked, time.monotonic()
        return self._looked - before


def require_free(folder: Path, *, resume: bool) -> None:
    """Refuse a folder that holds a training, unless it is to be resumed.

    Raises:
        TrainingError: it does.
    """
    if not resume and (folder / "config.toml").exists():
        raise TrainingError(f"{folder}: holds a training; add --resume or name another")


def _mean_of(metric: str, valid: SourceMetrics) -> float | None:
    values = [m[metric] for m in valid.values()]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None

"""A whole training: data, network, loop and report, in one folder that can be resumed."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from dashfusion_models.checkpoint import Checkpoint
from dashfusion_models.errors import ConfigError, DataError
from dashfusion_models.folder import Stop
from dashfusion_models.records import MODALITIES, Modality
from dashfusion_models.store import Store
from dashfusion_training.build import encoder_of, new_checkpoint, start_facts
from dashfusion_training.calibrate import add_intervals
from dashfusion_training.config import TrainConfig, changed
from dashfusion_training.curves import write_curves, write_curves_of_seeds
from dashfusion_training.datasets import Dataset, contexts, load_dataset
from dashfusion_training.evaluate import evaluate_stores
from dashfusion_training.interruption import Interrupted, Interruption
from dashfusion_training.loop import Splits, fit
from dashfusion_training.processes import ALONE, Team
from dashfusion_training.report import Trained, environment, write_report
from dashfusion_training.reproducible import reproducible
from dashfusion_training.request import TrainingRequest, write_request
from dashfusion_training.run import Run, require_free
from dashfusion_training.samples import count_readable
from dashfusion_training.sources import feature_specs
from dashfusion_training.watch import UNWATCHED, Watcher
from dashfusion_training.writers import OpenWriter

__all__ = ["Training", "train", "train_seeds"]

_log = logging.getLogger(__name__)

FIRST_SEED = 1111  # of several (METHOD.md: the paper gives neither seeds nor deviations)


@dataclass(frozen=True, kw_only=True)
class Training:
    """What is to be trained, on what and where; ends early once `stop` is asked.

    `request` is kept in the folder, for whoever goes on without saying it again.
    """

    config: TrainConfig
    stores: Mapping[str, Store]
    output: Path
    resume: bool
    device: torch.device
    offline: bool = False
    team: Team = ALONE
    watch: Watcher = UNWATCHED
    log_to: tuple[OpenWriter, ...] = ()  # writers that show log.jsonl elsewhere
    request: TrainingRequest | None = None
    stop: Stop = field(default_factory=Stop)


def train(training: Training) -> Path:
    """Train, or go on; return the best checkpoint.

    Where no sample has a context, none is read: `analyze` must not tell the network what it never
    learned from. A network that goes on from another may have learned from contexts there.

    Raises:
        DataError: labels or splits that cannot be used.
        Interrupted: it was asked to stop; what was learned is saved.
        TrainingError: the folder holds another training, or the loss is no longer a number.
        WeightsError: the text encoder is missing.
    """
    training = _without_idle_context(training)
    data = _data(training.stores)
    name = training.output.resolve().name
    trained = _train(training, data, name=name, request_in=training.output)
    if training.team.leads:
        write_report(training.output, [trained], data, training.device)
        write_curves(training.output / "log.jsonl", training.output / "curves.svg")
    training.team.wait()
    return training.output / "best.safetensors"


def train_seeds(training: Training, count: int) -> list[Path]:
    """Train with the seeds 1111, 1112, … in the folders seed-1111, …; return the checkpoints.

    The folder above holds the report on all of them: means and standard deviations (n - 1).

    Raises:
        As `train`.
    """
    training = _without_idle_context(training)
    data = _data(training.stores)
    runs: dict[int, Path] = {}
    trained: list[Trained] = []
    name = training.output.resolve().name
    for number, seed in enumerate(range(FIRST_SEED, FIRST_SEED + count), start=1):
        training.watch.begin(number, count, f"seed {seed}")
        runs[seed] = training.output / f"seed-{seed}"
        again = training.resume and (runs[seed] / "config.toml").exists()
        config = changed(training.config, {"seed": seed})
        one = replace(training, config=config, output=runs[seed], resume=again)
        try:
            name_of_seed = f"{name}-seed-{seed}"
            trained.append(_train(one, data, name=name_of_seed, request_in=training.output))
        except Interrupted as interrupted:
            raise Interrupted(f"seed {seed}: {interrupted}") from None
        if training.team.leads:
            write_report(one.output, trained[-1:], data, training.device)
            write_curves(one.output / "log.jsonl", one.output / "curves.svg")
    if training.team.leads:
        write_report(training.output, trained, data, training.device)
        write_curves_of_seeds(runs, training.output / "curves.svg")
    training.team.wait()
    return [folder / "best.safetensors" for folder in runs.values()]


def _train(training: Training, data: Mapping[str, Any], *, name: str, request_in: Path) -> Trained:
    """Train in one folder; `name` is that of the checkpoint where the settings give none."""
    config, team = training.config, training.team
    interruption = Interruption(training.stop, team)
    interruption.check_all()
    require_free(training.output, resume=training.resume)  # before anything is fetched
    splits = _splits(training)
    encoder, about = encoder_of(config, offline=training.offline)
    # Whatever can be refused is refused before the folder is taken.
    _require_steps(training)
    checkpoint = _new(training, splits, encoder)
    identity = {"data": data, "text_encoder": about}
    started = start_facts(config, offline=training.offline)
    identity |= {"start": started} if started else {}
    asks = training.request if team.leads else None
    if asks is not None and not training.resume:  # config.toml says that all is there
        write_request(request_in, asks)
    run = Run(
        training.output,
        config,
        resume=training.resume,
        data=identity,
        team=team,
        watch=training.watch,
        log_to=training.log_to,
    )
    if asks is not None and training.resume:  # only now: another training is refused
        write_request(request_in, asks)
    with contextlib.closing(run), reproducible(training.device):
        run.log(kind="start", environment=environment(training.device), processes=team.world)
        at = fit(
            replace(checkpoint, name=config.name or name, training=identity),
            splits,
            config,
            run,
            device=training.device,
            team=team,
            stop=training.stop,
        )
    test: dict[str, Mapping[str, float | None]] = {}
    try:
        with interruption.leaving_together():
            if team.leads and config.intervals:
                _calibrate(training, run, interruption)
            if team.leads:
                test = _tested(training, run.best, interruption)
    except Interrupted:
        raise Interrupted("trained, and not tested yet") from None
    return Trained(config=config, at=at, test=test)


def _calibrate(training: Training, run: Run, interruption: Interruption) -> None:
    """Add intervals; data that give none are no reason to lose what was trained."""
    try:
        add_intervals(
            run.best,
            training.stores,
            device=training.device,
            report=lambda event: interruption.check(),
        )
    except DataError as error:
        run.log(kind="note", message=f"no intervals: {error}")
        _log.warning("%s: has no intervals: %s", run.best, error)


def _without_idle_context(training: Training) -> Training:
    """Read no context where the samples that train have none."""
    trained = (
        said
        for store in training.stores.values()
        for row, said in zip(store.rows, contexts(store.rows), strict=True)
        if row.split == "train"
    )
    if not training.config.context_tokens or training.config.start or any(trained):
        return training
    return replace(training, config=changed(training.config, {"context_tokens": 0}))


def _splits(training: Training) -> Splits:
    config, stores = training.config, dict(training.stores)
    valid: dict[str, Dataset] = {}
    for name, store in stores.items():
        if count_readable(store, "valid", config.modalities):
            valid[name] = load_dataset({name: store}, "valid", config)
    if not valid:
        load_dataset(stores, "valid", config)  # says that there is none
    return Splits(train=load_dataset(stores, "train", config), valid=valid)


def _require_steps(training: Training) -> None:
    """Refuse sequences that are longer than the positions that the network learns."""
    for modality in ("audio", "vision"):
        most = getattr(training.config, f"{modality}_steps")
        for name, store in training.stores.items():
            longest = int(max(store.steps(modality), default=0))
            if modality in training.config.modalities and longest > most:
                raise ConfigError(
                    f"{name}: has {longest} steps of {modality}, {modality}_steps is {most}; add "
                    f"--set {modality}_steps={longest}"
                )


def _new(training: Training, splits: Splits, encoder: Path | None) -> Checkpoint:
    audio, vision = feature_specs(training.stores, _modalities(training.config))
    return new_checkpoint(training.config, encoder, splits.train, audio=audio, vision=vision)


def _tested(
    training: Training, best: Path, interruption: Interruption
) -> dict[str, Mapping[str, float | None]]:
    """The metrics of the best checkpoint on each test split that there is.

    Raises:
        Interrupted: the training is to stop.
    """
    stores = {
        name: store
        for name, store in training.stores.items()
        if count_readable(store, "test", training.config.modalities)
    }
    reports = evaluate_stores(
        best,
        stores,
        split="test",
        modalities=_modalities(training.config),
        classes=None,
        device=training.device,
        report=lambda event: interruption.check(),
    )
    return {report.dataset: report.metrics for report in reports}


def _modalities(config: TrainConfig) -> tuple[Modality, ...]:
    return tuple(m for m in MODALITIES if m in config.modalities)


def _data(stores: Mapping[str, Store]) -> dict[str, Any]:
    """How many samples each source has in each split, and the digest of its content."""
    counted: dict[str, Any] = {}
    for name, store in stores.items():
        splits: dict[str, int] = {}
        for row in store.rows:
            splits[row.split] = splits.get(row.split, 0) + 1
        counted[name] = {"samples": splits, "digest": store.digest()}
    return counted

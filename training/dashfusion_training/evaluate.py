"""Predictions of a network over samples, and the report on them.

All are raw: a calibration that the checkpoint carries is not applied, so that figures are those of
the network, as the paper's and others' are. How often calibrated intervals hold the label is
counted in `coverage.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from dashfusion_models.checkpoint import Checkpoint, load_checkpoint, require_features
from dashfusion_models.checkpoint_about import CheckpointFacts
from dashfusion_models.collate import Collator
from dashfusion_models.errors import CheckpointError, ConfigError
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.records import MODALITIES, FeatureSpec, Modality, Progress
from dashfusion_models.store import Store
from dashfusion_training.config import TrainConfig
from dashfusion_training.datasets import Dataset, Sample, load_dataset
from dashfusion_training.metrics import (
    Scores,
    bootstrap_intervals,
    class_metrics,
    error_metrics,
    mosi_metrics,
    sims_metrics,
)
from dashfusion_training.predict import predict
from dashfusion_training.sample_digests import count_learned

__all__ = [
    "Prediction",
    "Report",
    "Task",
    "evaluate",
    "evaluate_stores",
    "modalities_of",
    "open_tasks",
    "predict",
    "predictions_of",
    "report_of",
    "require_numbers",
    "who_of",
]

METRICS = {(-3.0, 3.0): mosi_metrics, (-1.0, 1.0): sims_metrics}
SCHEMA = "dashfusion/report/1"


@dataclass(frozen=True)
class Prediction:
    """One sample's label and score, with what finds it again where it came from.

    `rate` and `seed`, or `modalities`, say what it lacked under a protocol of missing data; no seed
    was drawn where nothing was lost.
    """

    id: str
    label: float
    prediction: float
    file: str = ""
    video_id: str = ""
    clip_id: str = ""
    text: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    rate: float | None = None
    seed: int | None = None
    modalities: tuple[Modality, ...] | None = None


@dataclass(frozen=True)
class Report:
    """The metrics of one split of one dataset (schema dashfusion/report/1).

    `intervals` are 95 % bootstrap intervals of the metrics, over persons or videos where the data
    names them, else over samples; without those of metrics that are not defined in most draws, and
    empty where all samples are of one. `classes` is the map of class names to scores, where it was
    used. `trained_on` is how many of the samples the checkpoint learned from, as far as it says;
    None where it does not (`count_learned`).
    """

    dataset: str
    split: str
    checkpoint: str
    n: int
    metrics: Mapping[str, float | None]
    modalities: tuple[Modality, ...]
    intervals: Mapping[str, tuple[float, float]]
    classes: Mapping[str, float]
    predictions: tuple[Prediction, ...]
    trained_on: int | None = None

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form, without the predictions."""
        return {
            "schema": SCHEMA,
            "dataset": self.dataset,
            "split": self.split,
            "n": self.n,
            "checkpoint": self.checkpoint,
            "trained_on": self.trained_on,
            "modalities": list(self.modalities),
            "metrics": dict(self.metrics),
            "intervals": {name: list(ends) for name, ends in self.intervals.items()},
            "classes": dict(self.classes),
        }


def evaluate_stores(
    checkpoint: Path,
    stores: Mapping[str, Store],
    *,
    split: str,
    classes: Mapping[str, float] | None,
    device: torch.device,
    modalities: tuple[Modality, ...] | None = None,
    report: Callable[[Progress], None] = lambda event: None,
) -> Iterator[Report]:
    """Report on each store; class names are scored as in the checkpoint's training if not told.

    `modalities` are those that the checkpoint was trained with if not told.

    Raises:
        CheckpointError: it was made for other features than a store's, or gives no numbers.
        ConfigError: a modality that the checkpoint was not trained with.
        DataError: no sample in the split, or a label that cannot be used.
    """
    loaded = load_checkpoint(checkpoint)
    kept = modalities_of(loaded, checkpoint, modalities)
    tasks = open_tasks(loaded, checkpoint, stores, split=split, modalities=kept, classes=classes)
    for task in tasks:
        network = loaded.network.to(device)
        predicted = predict(
            network, loaded.collate, task.samples, device=device, modalities=kept, report=report
        )
        require_numbers(predicted, checkpoint, task)
        yield Report(
            dataset=task.dataset,
            split=split,
            checkpoint=loaded.name,
            n=len(task.samples),
            metrics=report_of(task.samples, predicted, label_range=loaded.label_range),
            modalities=kept,
            intervals=_intervals(task.samples, predicted, label_range=loaded.label_range),
            classes=task.classes,
            predictions=predictions_of(task.samples, predicted),
            trained_on=count_learned(task.samples, loaded.learned),
        )


def predictions_of(
    samples: Sequence[Sample],
    predicted: Float[np.ndarray, " n"],
    *,
    rate: float | None = None,
    seed: int | None = None,
    modalities: tuple[Modality, ...] | None = None,
) -> tuple[Prediction, ...]:
    """The score of each sample; the rest says what was missing, if anything was."""
    return tuple(
        Prediction(
            id=sample.row.id,
            label=sample.label,
            prediction=float(score),
            file=sample.row.file,
            video_id=sample.row.video_id,
            clip_id=sample.row.clip_id,
            text=sample.row.text,
            start_s=sample.row.start_s,
            end_s=sample.row.end_s,
            rate=rate,
            seed=seed,
            modalities=modalities,
        )
        for sample, score in zip(samples, predicted, strict=True)
    )


@dataclass(frozen=True)
class Task:
    """The labelled samples of one data set, and the class names that their labels use."""

    dataset: str
    split: str
    samples: list[Sample]
    classes: Mapping[str, float]


def open_tasks(
    checkpoint: Checkpoint,
    path: Path,
    stores: Mapping[str, Store],
    *,
    split: str,
    modalities: tuple[Modality, ...],
    classes: Mapping[str, float] | None,
) -> Iterator[Task]:
    """Yield what the checkpoint at `path` is to be compared with.

    Raises:
        CheckpointError: it was made for other features than a store's.
        DataError: no sample in the split, or a label that cannot be used.
    """
    trained = checkpoint.training.get("config", {})
    config = TrainConfig(
        label_range=checkpoint.label_range,
        classes=classes or trained.get("classes", {}),
        modalities=modalities,
    )
    for name, store in stores.items():
        _require_features(checkpoint, path, store, modalities)
        samples = load_dataset({name: store}, split, config)
        used = {s.row.label for s in samples if isinstance(s.row.label, str)}
        known = {k: v for k, v in config.classes.items() if k in used}
        yield Task(dataset=name, split=split, samples=samples, classes=known)


def modalities_of(
    checkpoint: Checkpoint | CheckpointFacts, path: Path, asked: tuple[Modality, ...] | None = None
) -> tuple[Modality, ...]:
    """The modalities that were asked for, or else those that `path` was trained with.

    Raises:
        ConfigError: one that it was not trained with; it holds random weights for that one.
    """
    trained = checkpoint.modalities
    unknown = [m for m in asked or () if m not in trained]
    if unknown:
        raise ConfigError(
            f"{path}: was not trained with {', '.join(unknown)}; "
            f"give --modalities {','.join(trained)} or leave it out"
        )
    return asked or trained


def require_numbers(
    predicted: Float[np.ndarray, "*changes n"], checkpoint: Path, task: Task
) -> None:
    """Refuse scores that no metric is defined for.

    Raises:
        CheckpointError: some are not finite.
    """
    broken = int((~np.isfinite(predicted)).sum())
    if broken:
        raise CheckpointError(
            f"{checkpoint}: {broken} of {predicted.size} scores of {task.dataset} are not "
            "finite numbers; train it again with a lower learning rate"
        )


def _require_features(
    checkpoint: Checkpoint, path: Path, store: Store, modalities: tuple[Modality, ...]
) -> None:
    """Refuse other features than the checkpoint's, save where nothing of them is read."""

    def spec(modality: Modality) -> FeatureSpec:
        read = modality in modalities and any(getattr(row, modality) for row in store.rows)
        found: FeatureSpec = getattr(store if read else checkpoint, modality)
        return found

    require_features(checkpoint, path, audio=spec("audio"), vision=spec("vision"))


def _intervals(
    samples: Sequence[Sample],
    predicted: Float[np.ndarray, " n"],
    *,
    label_range: tuple[float, float],
) -> dict[str, tuple[float, float]]:
    """Bootstrap every metric over who is sampled; none where all samples are of one."""
    who = who_of(samples)
    if len(set(who)) == 1:
        return {}
    label = np.array([sample.label for sample in samples])
    return bootstrap_intervals(_metrics_for(samples, label_range), label, predicted, who)


def who_of(samples: Sequence[Sample]) -> list[str]:
    """Whom each sample is of, which intervals are drawn over: person, else video, else itself."""
    return [s.row.person or s.row.video_id or s.row.id for s in samples]


def evaluate(
    network: DashFusion,
    collate: Collator,
    samples: Dataset,
    *,
    device: torch.device,
    label_range: tuple[float, float],
    modalities: Iterable[Modality] = MODALITIES,
) -> dict[str, float | None]:
    """The metrics that fit the labels (see `report_of`)."""
    predicted = predict(network, collate, samples, device=device, modalities=modalities)
    return report_of(samples, predicted, label_range=label_range)


def report_of(
    samples: Sequence[Sample],
    predicted: Float[np.ndarray, " n"],
    *,
    label_range: tuple[float, float],
) -> dict[str, float | None]:
    """MOSI's metrics on [-3, 3], CH-SIMS's on [-1, 1], on other ranges what needs no classes.

    For class names also those of positive against negative.
    """
    label = np.array([sample.label for sample in samples])
    return _metrics_for(samples, label_range)(label, predicted)


def _metrics_for(
    samples: Sequence[Sample], label_range: tuple[float, float]
) -> Callable[[Scores, Scores], dict[str, float | None]]:
    of_numbers = METRICS.get(label_range, error_metrics)
    if not any(isinstance(sample.row.label, str) for sample in samples):
        return of_numbers
    return lambda label, predicted: of_numbers(label, predicted) | class_metrics(label, predicted)

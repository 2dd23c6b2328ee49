"""Predictions of a network over samples, and the report on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from dashfusion_models.checkpoint import load_checkpoint, require_features
from dashfusion_models.collate import Collator
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.records import MODALITIES, Features, Modality
from dashfusion_models.store import Store
from dashfusion_training.config import TrainConfig
from dashfusion_training.datasets import Dataset, Sample, load_dataset
from dashfusion_training.metrics import (
    bootstrap_interval,
    class_metrics,
    correlation,
    mosi_metrics,
    sims_metrics,
)

__all__ = ["Prediction", "Report", "evaluate", "evaluate_stores", "predict", "report_of"]

SCHEMA = "dashfusion/report/1"
BATCH = 64


@dataclass(frozen=True)
class Prediction:
    """One sample's id, label and score."""

    id: str
    label: float
    prediction: float


@dataclass(frozen=True)
class Report:
    """The metrics of one split of one dataset (schema dashfusion/report/1).

    `intervals` are 95 % bootstrap intervals of some metrics, over persons or videos where the data
    names them, else over samples. `classes` is the map of class names to scores, where it was used.
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

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form, without the predictions."""
        return {
            "schema": SCHEMA,
            "dataset": self.dataset,
            "split": self.split,
            "n": self.n,
            "checkpoint": self.checkpoint,
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
    modalities: tuple[Modality, ...],
    classes: Mapping[str, float] | None,
    device: torch.device,
) -> Iterator[Report]:
    """Report on each store; class names are scored as in the checkpoint's training if not told.

    Raises:
        CheckpointError: it was made for other features than a store's.
        DataError: no sample in the split, or a label that cannot be used.
    """
    loaded = load_checkpoint(checkpoint)
    trained = loaded.training.get("config", {})
    config = TrainConfig(
        label_range=loaded.label_range, classes=classes or trained.get("classes", {})
    )
    loaded.network.to(device)
    for name, store in stores.items():
        require_features(loaded, checkpoint, audio=store.audio, vision=store.vision)
        samples = load_dataset({name: store}, split, config)
        predicted = predict(
            loaded.network, loaded.collate, samples, device=device, modalities=modalities
        )
        used = {s.row.label for s in samples if isinstance(s.row.label, str)}
        yield Report(
            dataset=name,
            split=split,
            checkpoint=loaded.name,
            n=len(samples),
            metrics=report_of(samples, predicted, label_range=loaded.label_range),
            modalities=modalities,
            intervals=_intervals(samples, predicted),
            classes={k: v for k, v in config.classes.items() if k in used},
            predictions=tuple(
                Prediction(s.row.id, s.label, float(p))
                for s, p in zip(samples, predicted, strict=True)
            ),
        )


def _intervals(
    samples: Sequence[Sample], predicted: Float[np.ndarray, " n"]
) -> dict[str, tuple[float, float]]:
    """Bootstrap the correlation, and for classes the area under the curve, over who is sampled."""
    label = np.array([sample.label for sample in samples])
    who = [s.row.person or s.row.video_id or s.row.id for s in samples]
    metrics: dict[str, Callable[..., float | None]] = {"corr": correlation}
    if any(isinstance(sample.row.label, str) for sample in samples):
        metrics["auc"] = lambda truth, guess: class_metrics(truth, guess)["auc"]
    found = {name: bootstrap_interval(f, label, predicted, who) for name, f in metrics.items()}
    return {name: ends for name, ends in found.items() if ends is not None}


def predict(
    network: DashFusion,
    collate: Collator,
    samples: Dataset,
    *,
    device: torch.device,
    modalities: Iterable[Modality] = MODALITIES,
) -> Float[np.ndarray, " n"]:
    """Score every sample from the given modalities, in the order of `samples`.

    Like lengths are scored together, which changes no score. The network is left in the mode that
    it was in.
    """
    kept = set(modalities)
    gone = {m: None for m in MODALITIES if m not in kept}
    order = sorted(range(len(samples)), key=lambda i: _length(samples[i]))
    scores = np.zeros(len(samples))
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            chunk = order[start : start + BATCH]
            features: list[Features] = [replace(samples[i].features(), **gone) for i in chunk]
            scores[chunk] = network(collate(features).to(device)).float().cpu().numpy()
    network.train(was_training)
    return scores


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
    """CH-SIMS's metrics on [-1, 1], else MOSI's; for classes also those of positive/negative."""
    label = np.array([sample.label for sample in samples])
    metrics = sims_metrics if label_range == (-1.0, 1.0) else mosi_metrics
    report = metrics(label, predicted)
    if any(isinstance(sample.row.label, str) for sample in samples):
        report |= class_metrics(label, predicted)
    return report


def _length(sample: Sample) -> tuple[int, int]:
    row = sample.row
    return len(row.text or ""), 2 * row.audio + row.vision

"""A checkpoint and the stores that it is measured on, and what is measured on one of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from dashfusion_models.checkpoint import Checkpoint, load_checkpoint
from dashfusion_models.errors import DataError
from dashfusion_models.records import Features, Modality
from dashfusion_models.store import Store
from dashfusion_training.datasets import Sample
from dashfusion_training.evaluate import Task, open_tasks, require_numbers, who_of
from dashfusion_training.metrics import area_under_curve, bootstrap_interval
from dashfusion_training.predict import predict

__all__ = ["Bench", "Measured", "class_auc", "open_bench", "rewritten"]

Metric = Callable[[np.ndarray, np.ndarray], float | None]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A row of a table: some values of one source's samples.

    `over` is the number of speakers, persons or videos that the 95 % intervals are drawn over. A
    value that is not defined is None; one without an interval is not in `intervals`.
    """

    what: str
    source: str
    n: int
    over: int
    values: Mapping[str, float | None]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "what": self.what,
            "source": self.source,
            "n": self.n,
            "over": self.over,
            "values": dict(self.values),
            "intervals": {name: list(ends) for name, ends in self.intervals.items()},
        }

    @classmethod
    def of(
        cls,
        what: str,
        samples: Sequence[Sample],
        predicted: Float[np.ndarray, " n"],
        metrics: Mapping[str, Metric],
    ) -> Measured:
        """Metrics of samples of one source, with intervals over whom they are of."""
        label, who = np.array([s.label for s in samples]), who_of(samples)
        found = {m: bootstrap_interval(f, label, predicted, who) for m, f in metrics.items()}
        return cls(
            what=what,
            source=samples[0].source,
            n=len(samples),
            over=len(set(who)),
            values={name: metric(label, predicted) for name, metric in metrics.items()},
            intervals={name: ends for name, ends in found.items() if ends is not None},
        )


@dataclass(frozen=True)
class Bench:
    """A checkpoint, where it lies, and stores by the names of the recipe's manifests."""

    path: Path
    checkpoint: Checkpoint
    stores: Mapping[str, Store]
    device: torch.device

    def has(self, source: str) -> bool:
        """Whether there are samples to test on."""
        return source in self.stores and any(r.split == "test" for r in self.stores[source].rows)

    def samples(self, source: str, split: str = "test") -> list[Sample]:
        """The labelled samples of one split; class names are scored as in the training.

        Raises:
            CheckpointError: it was made for other features than the store's.
            DataError: no sample in the split, or a label that cannot be used.
        """
        return self._task(source, split).samples

    def scores(
        self, samples: Sequence[Sample], modalities: tuple[Modality, ...] | None = None
    ) -> Float[np.ndarray, " n"]:
        """Score samples of one source as `eval` does; by all that was trained if not told.

        Raises:
            CheckpointError: some scores are not finite.
        """
        predicted = predict(
            self.checkpoint.network,
            self.checkpoint.collate,
            samples,
            device=self.device,
            modalities=modalities or self.checkpoint.modalities,
        )
        task = Task(dataset=samples[0].source, split="", samples=list(samples), classes={})
        require_numbers(predicted, self.path, task)
        return predicted

    def _task(self, source: str, split: str) -> Task:
        (task,) = open_tasks(
            self.checkpoint,
            self.path,
            {source: self.stores[source]},
            split=split,
            modalities=self.checkpoint.modalities,
            classes=None,
        )
        return task


def open_bench(path: Path, stores: Path, device: torch.device) -> Bench:
    """Open the checkpoint at `path` and all stores in the folder `stores`, by their names.

    Raises:
        CheckpointError: no checkpoint.
        DataError: no store in the folder.
    """
    found = {head.parent.name: Store(head.parent) for head in sorted(stores.glob("*/store.json"))}
    if not found:
        raise DataError(f"{stores}: holds no store; `extract --output {stores}/NAME` makes one")
    checkpoint = load_checkpoint(path)
    checkpoint.network.to(device)
    return Bench(path=path, checkpoint=checkpoint, stores=found, device=device)


def class_auc(
    what: str,
    samples: Sequence[Sample],
    predicted: Float[np.ndarray, " n"],
    positive: Collection[str],
    negative: Collection[str],
) -> Measured:
    """Area under the curve of some classes against others; a class of neither is left out.

    Raises:
        DataError: no sample is of these classes.
    """
    kept = [i for i, s in enumerate(samples) if s.row.label in {*positive, *negative}]
    if not kept:
        wanted = ", ".join(sorted({*positive, *negative}))
        raise DataError(f"{what}: no sample of {wanted}; check the labels of the store")
    chosen = [
        replace(samples[i], label=1.0 if samples[i].row.label in positive else -1.0) for i in kept
    ]

    def auc(label: np.ndarray, score: np.ndarray) -> float | None:
        return area_under_curve(label > 0, score)

    return Measured.of(what, chosen, predicted[kept], {"auc": auc})


@dataclass(frozen=True)
class _Rewritten(Sample):
    """A sample whose texts are written in another way."""

    rewrite: Callable[[str], str] = field(kw_only=True)

    def features(self) -> Features:
        """Read its features and rewrite every text among them, what was said before too."""
        read = super().features()
        there = {f.name: getattr(read, f.name) for f in fields(read)}
        texts: dict[str, Any] = {
            name: self.rewrite(text) for name, text in there.items() if isinstance(text, str)
        }
        return replace(read, **texts)


def rewritten(samples: Sequence[Sample], rewrite: Callable[[str], str]) -> list[Sample]:
    """The same samples with every text passed through `rewrite` as it is read."""
    return [_Rewritten(**vars(sample), rewrite=rewrite) for sample in samples]

"""How well a network does when data are missing: the field's two protocols.

`random`: every modality of a sample loses a random share of its steps. `subsets`: only some of the
modalities are there at all. The network sees a lost step as one that was never observed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dashfusion_models.checkpoint import load_checkpoint
from dashfusion_models.network.sequence import Batch, Tokens
from dashfusion_models.records import MODALITIES, Modality, Progress
from dashfusion_models.store import Store
from dashfusion_training.evaluate import (
    SCHEMA,
    Prediction,
    Task,
    modalities_of,
    open_tasks,
    predictions_of,
    report_of,
    require_numbers,
)
from dashfusion_training.predict import Change, predict_each
from dashfusion_training.sample_digests import count_learned

__all__ = [
    "MASK_SEEDS",
    "RATES",
    "MissingReport",
    "MissingRow",
    "Protocol",
    "evaluate_missing",
    "subset_cases",
    "with_steps_lost",
]

RATES = tuple(tenth / 10 for tenth in range(10))  # 0.0 to 0.9
CONTEXT = 3  # its stream of random numbers, behind those of the three modalities
MASK_SEEDS = (1111, 1112, 1113)

Protocol = Literal["random", "subsets"]
Metrics = Mapping[str, float | None]


@dataclass(frozen=True)
class _Case:
    """One way to lose data: at a rate, by the masks of a seed, or all but some modalities."""

    change: Change
    rate: float | None = None
    seed: int | None = None  # None where nothing is lost
    modalities: tuple[Modality, ...] | None = None


@dataclass(frozen=True)
class MissingRow:
    """The metrics at one rate of loss, or from some of the modalities; the other one is None."""

    metrics: Metrics
    rate: float | None = None
    modalities: tuple[Modality, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        if self.modalities is not None:
            return {"modalities": list(self.modalities), "metrics": dict(self.metrics)}
        return {"rate": self.rate, "metrics": dict(self.metrics)}


@dataclass(frozen=True)
class MissingReport:
    """The metrics of one split of one data set under a protocol, row by row.

    `metrics` is the mean over the rows; a metric that a row does not define is the mean over those
    that do. `modalities` are those that the network was trained with; `predictions` has each sample
    once for every case. `trained_on` as in `Report`.
    """

    dataset: str
    split: str
    checkpoint: str
    n: int
    protocol: Protocol
    mask_seeds: tuple[int, ...]
    rows: tuple[MissingRow, ...]
    metrics: Metrics
    modalities: tuple[Modality, ...]
    classes: Mapping[str, float]
    predictions: tuple[Prediction, ...] = ()
    trained_on: int | None = None

    def to_dict(self) -> dict[str, Any]:
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
            "intervals": {},
            "classes": dict(self.classes),
            "missing": {
                "protocol": self.protocol,
                "mask_seeds": list(self.mask_seeds),
                "rows": [row.to_dict() for row in self.rows],
            },
        }


def evaluate_missing(
    checkpoint: Path,
    stores: Mapping[str, Store],
    *,
    protocol: Protocol,
    split: str,
    classes: Mapping[str, float] | None,
    device: torch.device,
    report: Callable[[Progress], None] = lambda event: None,
) -> Iterator[MissingReport]:
    """Report on each store; what is missing comes off what the checkpoint was trained with.

    Raises:
        CheckpointError: it was made for other features than a store's, or gives no numbers.
        DataError: no sample in the split, or a label that cannot be used.
    """
    loaded = load_checkpoint(checkpoint)
    loaded.network.to(device)
    kept = modalities_of(loaded, checkpoint)
    cases = _random_cases() if protocol == "random" else _subset_cases(kept)
    tasks = open_tasks(loaded, checkpoint, stores, split=split, modalities=kept, classes=classes)
    for task in tasks:
        predicted = predict_each(
            loaded.network,
            loaded.collate,
            task.samples,
            [case.change for case in cases],
            device=device,
            modalities=kept,
            report=report,
        )
        require_numbers(predicted, checkpoint, task)
        rows = _rows(cases, predicted, task, loaded.label_range)
        yield MissingReport(
            dataset=task.dataset,
            split=split,
            checkpoint=loaded.name,
            n=len(task.samples),
            protocol=protocol,
            mask_seeds=MASK_SEEDS if protocol == "random" else (),
            rows=rows,
            metrics=_mean([row.metrics for row in rows]),
            modalities=kept,
            classes=task.classes,
            predictions=tuple(
                prediction
                for case, scores in zip(cases, predicted, strict=True)
                for prediction in predictions_of(
                    task.samples,
                    scores,
                    rate=case.rate,
                    seed=case.seed,
                    modalities=case.modalities,
                )
            ),
            trained_on=count_learned(task.samples, loaded.learned),
        )


def with_steps_lost(batch: Batch, ids: Sequence[str], *, rate: float, seed: int) -> Batch:
    """Mask a random share of the steps of every modality of every sample of a CPU batch.

    Of `n` steps that were observed exactly round(rate * n) are lost; the first and the last token
    of a text ([CLS], [SEP]) always stay. What a sample loses is drawn from the seed, the rate, its
    id and the modality alone, never from what stands beside it.
    """

    def kept(number: int) -> Bool[Tensor, "b t"]:
        modality = MODALITIES[number]
        real: Bool[np.ndarray, "b t"] = getattr(batch, modality).real.numpy().copy()
        for row, name in enumerate(ids):
            draw = np.random.default_rng([seed, round(10 * rate), crc32(name.encode()), number])
            steps = np.flatnonzero(real[row])
            losable = steps[1:-1] if modality == "text" else steps
            real[row, draw.permutation(losable)[: round(rate * len(losable))]] = False
        return torch.from_numpy(real)

    text = replace(batch.text, real=kept(0))
    if isinstance(text, Tokens) and text.before is not None:
        text = replace(text, before=_said_less(text.before, ids, rate=rate, seed=seed))
    return replace(
        batch,
        text=text,
        audio=replace(batch.audio, real=kept(1)),
        vision=replace(batch.vision, real=kept(2)),
    )


def _said_less(before: Tokens, ids: Sequence[str], *, rate: float, seed: int) -> Tokens:
    """Context loses its word pieces as the text does: it is a part of what was said."""
    real = before.real.numpy().copy()
    for row, name in enumerate(ids):
        draw = np.random.default_rng([seed, round(10 * rate), crc32(name.encode()), CONTEXT])
        losable = np.flatnonzero(real[row])[:-1]  # [SEP] stays
        real[row, draw.permutation(losable)[: round(rate * len(losable))]] = False
    return replace(before, real=torch.from_numpy(real))


def _random_cases() -> list[_Case]:
    """Every rate with every mask seed; nothing lost needs no second seed."""
    return [
        _Case(
            partial(with_steps_lost, rate=rate, seed=seed), rate=rate, seed=seed if rate else None
        )
        for rate in RATES
        for seed in (MASK_SEEDS if rate else MASK_SEEDS[:1])
    ]


def _subset_cases(trained: tuple[Modality, ...]) -> list[_Case]:
    return [_Case(change, modalities=subset) for subset, change in subset_cases(trained)]


def subset_cases(trained: tuple[Modality, ...]) -> list[tuple[tuple[Modality, ...], Change]]:
    """Every combination, fewest modalities first: seven of three."""
    subsets = [s for size in range(1, len(trained) + 1) for s in combinations(trained, size)]
    return [(subset, partial(_only, kept=subset)) for subset in subsets]


def _only(batch: Batch, ids: Sequence[str], *, kept: tuple[Modality, ...]) -> Batch:
    return batch.without(*(m for m in MODALITIES if m not in kept))


def _rows(
    cases: Sequence[_Case],
    predicted: Float[np.ndarray, "cases n"],
    task: Task,
    label_range: tuple[float, float],
) -> tuple[MissingRow, ...]:
    """A row for each case that was scored once or several times: the mean of its metrics."""
    of_row: dict[tuple[float | None, tuple[Modality, ...] | None], list[Metrics]] = {}
    for case, scores in zip(cases, predicted, strict=True):
        metrics = report_of(task.samples, scores, label_range=label_range)
        of_row.setdefault((case.rate, case.modalities), []).append(metrics)
    return tuple(
        MissingRow(rate=rate, modalities=modalities, metrics=_mean(found))
        for (rate, modalities), found in of_row.items()
    )


def _mean(parts: Sequence[Metrics]) -> Metrics:
    """Mean of each metric over the parts that define it; None where none does."""
    means: dict[str, float | None] = {}
    for name in parts[0]:
        values = [value for part in parts if (value := part[name]) is not None]
        means[name] = sum(values) / len(values) if values else None
    return means

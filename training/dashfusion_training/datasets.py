"""Samples of one or several stores, and the batches that an epoch makes of them.

Everything random here is drawn from (seed, epoch, place), never from a running generator: an epoch
that is resumed in the middle sees the same samples as one that was never stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from dashfusion_models.errors import DataError
from dashfusion_models.records import MODALITIES, Features, Streams
from dashfusion_models.store import Row, Store
from dashfusion_training.composer import Composer
from dashfusion_training.config import TrainConfig
from dashfusion_training.neighbours import POSITIVES, Neighbours, draw_companions
from dashfusion_training.processes import ALONE, Team
from dashfusion_training.samples import Dataset, Sample, contexts, is_readable, sign_of
from dashfusion_training.teachers import softened

__all__ = [
    "Dataset",
    "Lesson",
    "Sample",
    "check_labels",
    "contexts",
    "count_batches",
    "epoch_batches",
    "load_dataset",
    "sign_of",
]

DRAWS_COMPANIONS, DRAWS_CONTENT = 1, 2  # keep the two streams of random numbers apart
LETTERS_OF_A_PIECE = 5  # and the space after it


@dataclass(frozen=True)
class Lesson:
    """What one step learns from: `n` samples read once, `b` of them anchors with labels.

    `anchors` and `companions` are rows of `features`; -1 is a companion that could not be found.
    `moments` says of each sample which streams belong together in time (`composer.Visit`).
    `share` times the mean over these anchors, averaged over the processes, is the mean over all.
    """

    features: list[Features]
    moments: list[Streams[int]]
    anchors: Int64[np.ndarray, " b"]
    companions: Int64[np.ndarray, "b 6"] | None
    labels: Float32[np.ndarray, " b"]
    share: float = 1.0


def load_dataset(stores: dict[str, Store], split: str, config: TrainConfig) -> list[Sample]:
    """Collect the samples of one split; the labels of those that train are softened.

    Rows with none of the modalities that are used are left out: a store of all modalities gives
    the samples that one of these alone does.

    Raises:
        DataError: a label outside the range, a class without a score, or no sample at all.
    """
    used = frozenset(m for m in MODALITIES if m in config.modalities)
    samples = [
        Sample(store, index, source, score_of(row, source, config), used, said)
        for source, store in stores.items()
        for index, (row, said) in enumerate(zip(store.rows, contexts(store.rows), strict=True))
        if row.split == split and is_readable(row, used)
    ]
    if not samples:
        rows = [row for store in stores.values() for row in store.rows]
        there = sorted({row.split for row in rows})
        if split in there:
            wanted = " or ".join(m for m in MODALITIES if m in used)
            raise DataError(
                f"{', '.join(stores)}: no sample in split {split!r} has {wanted}; ask for other "
                "modalities, or check the data"
            )
        raise DataError(
            f"{', '.join(stores)}: no samples in split {split!r}, only in {', '.join(there)}; "
            "ask for another split, or check that column"
        )
    if split == "train" and config.teachers:
        teachers = [Path(path) for path in config.teachers]
        return softened(samples, teachers, config.teacher_share, config.teacher_shares)
    return samples


def check_labels(stores: dict[str, Store], config: TrainConfig) -> None:
    """Make sure that each label is a score before anything is fetched or trained.

    Raises:
        DataError: a label outside the range, or a class without a score.
    """
    for source, store in stores.items():
        for row in store.rows:
            score_of(row, source, config)


def score_of(row: Row, source: str, config: TrainConfig) -> float:
    """The label of a row as a score on the configured range."""
    label = row.label
    if isinstance(label, str):
        if label not in config.classes:
            known = ", ".join(config.classes) or "none"
            raise DataError(
                f"{source}: {row.id}: class {label!r} has no score (known: {known}); "
                "give --classes name=score,…"
            )
        label = config.classes[label]
    low, high = config.label_range
    if not low <= label <= high:
        raise DataError(
            f"{source}: {row.id}: label {label} is outside [{low:g}, {high:g}], the range of the "
            "training; train with --label-range MIN MAX, or mend the label"
        )
    return float(label)


def epoch_batches(
    samples: Dataset,
    config: TrainConfig,
    epoch: int,
    *,
    neighbours: Neighbours | None = None,
    team: Team = ALONE,
    start: int = 0,
) -> Iterator[Lesson]:
    """Yield the batches of one epoch from number `start` on, shuffled; each with its companions.

    Batches are those of all processes together; each process of `team` gets its part of each.
    Without `neighbours` there are no companions.
    """
    generator = np.random.default_rng([config.seed, epoch])
    order = _visits(samples, config, generator)
    composer = Composer(samples, config)
    for place, batch in enumerate(_sorted_batches(order, samples, config, generator)):
        if place >= start:
            mine = list(enumerate(batch))[team.rank :: team.world]
            # A last batch smaller than the team: who has nothing looks on without a say.
            share = len(mine) * team.world / len(batch)
            anchors = mine or [(0, batch[0])]
            seed = [config.seed, epoch, place]
            drawn = _companions(seed, anchors, neighbours)
            if drawn is not None and not config.supervised_contrast:
                drawn[:, :POSITIVES] = -1  # nothing compares them
            yield _lesson(samples, composer, seed, [i for _, i in anchors], drawn, share)


def count_batches(samples: Dataset, config: TrainConfig) -> int:
    """How many batches an epoch has."""
    visits = sum(
        round(config.repeat.get(source, 1) * len(members))
        for source, members in _by_source(samples).items()
    )
    return -(-visits // config.batch_size)


def _companions(
    seed: list[int],
    anchors: list[tuple[int, int]],
    neighbours: Neighbours | None,
) -> Int64[np.ndarray, "b 6"] | None:
    if neighbours is None:
        return None
    return np.stack(
        [
            draw_companions(neighbours, i, np.random.default_rng([*seed, DRAWS_COMPANIONS, k]))
            for k, i in anchors
        ]
    )


def _lesson(
    samples: Dataset,
    composer: Composer,
    seed: list[int],
    anchors: list[int],
    drawn: Int64[np.ndarray, "b 6"] | None,
    share: float,
) -> Lesson:
    """Read every sample of a batch once, however often it stands in it.

    Companions that are no anchors are read with all that they have, and nothing is lent to them.
    """
    wanted = np.array(anchors) if drawn is None else np.concatenate([anchors, drawn.ravel()])
    members = np.unique(wanted[wanted >= 0])
    is_anchor = set(anchors)
    visits = {
        int(i): (composer if int(i) in is_anchor else composer.companion)(
            samples[int(i)], np.random.default_rng([*seed, DRAWS_CONTENT, int(i)])
        )
        for i in members
    }
    rows = None if drawn is None else np.where(drawn < 0, -1, np.searchsorted(members, drawn))
    return Lesson(
        features=[visit.features for visit in visits.values()],
        moments=[visit.moments for visit in visits.values()],
        anchors=np.searchsorted(members, anchors),
        companions=rows,
        labels=np.array([visits[i].label for i in anchors], np.float32),
        share=share,
    )


def _visits(samples: Dataset, config: TrainConfig, generator: np.random.Generator) -> list[int]:
    visits: list[int] = []
    for source, members in _by_source(samples).items():
        wanted = round(config.repeat.get(source, 1) * len(members))
        whole, rest = divmod(wanted, len(members))
        visits += members * whole
        if rest:
            visits += [members[i] for i in generator.permutation(len(members))[:rest]]
    return [int(i) for i in generator.permutation(visits)]


def _by_source(samples: Dataset) -> dict[str, list[int]]:
    """The places of each source's samples."""
    found: dict[str, list[int]] = {}
    for place, sample in enumerate(samples):
        found.setdefault(sample.source, []).append(place)
    return found


def _sorted_batches(
    order: list[int], samples: Dataset, config: TrainConfig, generator: np.random.Generator
) -> list[list[int]]:
    size = config.batch_size
    if config.sorted_batches == 1:
        return [order[k : k + size] for k in range(0, len(order), size)]
    batches: list[list[int]] = []
    for start in range(0, len(order), size * config.sorted_batches):
        piece = order[start : start + size * config.sorted_batches]
        piece.sort(key=lambda i: _letters(samples[i], config))
        batches += [piece[k : k + size] for k in range(0, len(piece), size)]
    return [batches[i] for i in generator.permutation(len(batches))]


def _letters(sample: Sample, config: TrainConfig) -> int:
    """About how long a text is with what the text encoder sees of its context."""
    context = min(len(sample.context or ""), LETTERS_OF_A_PIECE * config.context_tokens)
    return len(sample.row.text or "") + context

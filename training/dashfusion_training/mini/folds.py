"""Cross-validation folds: whole videos and whole actors are left out, never single samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dashfusion_models.store import Store
from dashfusion_training.config import TrainConfig
from dashfusion_training.datasets import Sample, load_dataset
from dashfusion_training.loop import Splits

__all__ = ["LEFT_OUT", "Fold", "deal", "folds_of"]

LEFT_OUT = ("mosi_clips", "javanese")  # by video and by actor: too few to keep some apart for good
VALID = ("ravdess", "faces")  # what shows how a training goes; nothing is chosen by it


@dataclass(frozen=True)
class Fold:
    """What one training learns from, and the samples of the people whom it never met."""

    splits: Splits
    left_out: Mapping[str, list[Sample]]


def deal(groups: Sequence[str], folds: int) -> dict[str, int]:
    """Deal groups into folds of about equal size: the largest first, each to the smallest fold.

    `groups` names the group of each sample; the fold of each group, from 0, comes back.
    """
    sizes = [0] * folds
    dealt: dict[str, int] = {}
    for group, size in sorted(Counter(groups).items(), key=lambda item: (-item[1], item[0])):
        smallest = sizes.index(min(sizes))
        dealt[group] = smallest
        sizes[smallest] += size
    return dealt


def folds_of(stores: Mapping[str, Store], config: TrainConfig, *, folds: int) -> list[Fold]:
    """Build the folds: of LEFT_OUT all samples take part, of other sources those that train."""
    shared = load_dataset({k: v for k, v in stores.items() if k not in LEFT_OUT}, "train", config)
    valid = {k: load_dataset({k: stores[k]}, "valid", config) for k in VALID if k in stores}
    everyone = {k: _all_samples(k, stores[k], config) for k in LEFT_OUT if k in stores}
    fold_of = {k: deal([s.row.person for s in some], folds) for k, some in everyone.items()}
    made = []
    for number in range(folds):
        train, left_out = list(shared), {}
        for source, samples in everyone.items():
            here = [fold_of[source][sample.row.person] == number for sample in samples]
            train += [s for s, out in zip(samples, here, strict=True) if not out]
            left_out[source] = [s for s, out in zip(samples, here, strict=True) if out]
        made.append(Fold(Splits(train=train, valid=valid), left_out))
    return made


def _all_samples(source: str, store: Store, config: TrainConfig) -> list[Sample]:
    """The samples of every split that the source has."""
    splits = sorted({row.split for row in store.rows})
    return [s for split in splits for s in load_dataset({source: store}, split, config)]

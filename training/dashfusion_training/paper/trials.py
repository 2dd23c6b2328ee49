"""Trials: one configuration on one benchmark, each with a folder that its content names.

A trial's folder is named by a digest of everything that decides its result: the settings that are
read, the data, the text encoder, the version of this package and the code of the method. So a trial
that several tables need is trained once, a finished one is found again, and a changed setting makes
new folders for the trials that read it and for no others.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from dashfusion_training.config import TrainConfig, changed
from dashfusion_training.curves import write_curves_of_seeds
from dashfusion_training.paper.method import method_digest
from dashfusion_training.report import join_reports, read_report
from dashfusion_training.train import FIRST_SEED

__all__ = ["Trial", "canonical", "trial_folder"]

_OF_COMPANIONS = (
    "companions_of",
    "contrastive_reduction",
    "retrieval_classes",
    "retrieve_every",
    "semantic_alignment",
    "semantic_negatives",
    "supervised_contrast",
    "temperature",
)
_WITHOUT_NORM_ORDER = ("ca", "concat", "concat-sa")  # fusions that have the printed order only


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One configuration on one benchmark, to be trained with the seeds from 1111 on."""

    name: str  # for people
    benchmark: str
    config: TrainConfig
    store: Path
    folder: Path

    def run_folder(self, seed: int) -> Path:
        """Where the training with one seed lies."""
        return self.folder / f"seed-{seed}"

    def seeds(self, count: int) -> range:
        """The first `count` seeds."""
        return range(FIRST_SEED, FIRST_SEED + count)

    def reports(self, count: int) -> dict[int, dict[str, Any]]:
        """The reports of the first `count` seeds, of those that are trained."""
        found = {seed: read_report(self.run_folder(seed)) for seed in self.seeds(count)}
        return {seed: report for seed, report in found.items() if report is not None}

    def unfinished(self, count: int) -> list[int]:
        """The seeds that are still to be trained."""
        done = self.reports(count)
        return [seed for seed in self.seeds(count) if seed not in done]

    def sum_up(self) -> None:
        """Write the report and the curves of all finished seeds into the trial's folder."""
        reports = self.reports(sum(1 for _ in self.folder.glob("seed-*")))
        if reports:
            join_reports(self.folder, list(reports.values()))
            runs = {seed: self.run_folder(seed) for seed in reports}
            write_curves_of_seeds(runs, self.folder / "curves.svg")


def trial_folder(
    root: Path, benchmark: str, config: TrainConfig, *, data: str, text_encoder: Mapping[str, str]
) -> Path:
    """The folder of a trial on the data and the text encoder with these digests."""
    settings = canonical(config).to_dict()
    del settings["seed"]
    about = {
        "settings": settings,
        "data": data,
        "text_encoder": text_encoder,
        "version": metadata.version("dashfusion"),
        "method": method_digest(),
    }
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    return root / f"{benchmark}-{key[:12]}"


def canonical(config: TrainConfig) -> TrainConfig:
    """The same training with every setting that nothing reads at its default."""
    unread: set[str] = set()
    if not config.draws_companions:
        config = changed(config, {"contrastive_weight": 0.0})
        unread.update(_OF_COMPANIONS)
    elif not config.semantic_alignment:
        unread.add("semantic_negatives")
    if config.fusion in _WITHOUT_NORM_ORDER:
        unread.add("norm_order")
    if config.fusion == "concat":
        unread.add("fusion_layers")
    if not config.compose:
        unread.update(("compose_label", "compose_neutral", "lent_share"))
    if config.loss != "huber":
        unread.add("huber_delta")
    if not config.context_tokens:
        unread.add("context_dropout")
    config = changed(config, {"classes": {}})  # the benchmarks' labels are numbers
    if config.text_learning_rate == config.learning_rate:
        unread.add("text_learning_rate")
    defaults = {field.name: field.default for field in dataclasses.fields(TrainConfig)}
    return changed(config, {key: defaults[key] for key in unread})

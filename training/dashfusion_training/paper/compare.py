"""From the finished trainings of a table to its comparison with the paper."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dashfusion_models.network.config import NetworkConfig
from dashfusion_training.benchmarks import SPLITS, benchmark
from dashfusion_training.config import TrainConfig, changed, read_preset
from dashfusion_training.paper.comparison import ComparedRow, Comparison, Metrics, Ours
from dashfusion_training.paper.operations import (
    SIMS_AUDIO,
    SIMS_TEXT,
    SIMS_VISION,
    multiply_adds,
    parameters,
)
from dashfusion_training.paper.plan import Plan, Request
from dashfusion_training.paper.published import PaperRow
from dashfusion_training.paper.trials import Trial
from dashfusion_training.report import mean_and_std
from dashfusion_training.store_facts import StoreFacts

__all__ = ["compare", "single_seeds"]

_PARAMETERS_MOST = "under 120 million"  # the paper's own words on the size of its model


def compare(plan: Plan, failures: Mapping[Path, str]) -> Comparison:
    """Put what is finished beside the paper's table; `failures` are known by the run's folder.

    Raises:
        TrainingError: the report of a finished training cannot be read.
    """
    rows = tuple(
        ComparedRow(row, _ours(plan, number, row, failures))
        for number, row in enumerate(plan.table.rows)
    )
    reports = {
        str(trial.folder): trial.reports(plan.request.seeds) for trial in plan.different_trials
    }
    return Comparison(
        table=plan.table,
        rows=rows,
        facts=tuple(_facts(plan)),
        problems=tuple(plan.problems.values()),
        origin=_origin(plan, reports),
    )


def _ours(plan: Plan, number: int, row: PaperRow, failures: Mapping[Path, str]) -> Ours | None:
    """Ours of one row; None of a row that is only quoted."""
    counted = {c.benchmark: c.metrics for c in plan.table.columns if "samples" in c.metrics}
    if counted:
        return _counted(plan, row.method)
    if row.changes is None:
        return None
    seeds: dict[str, tuple[int, ...]] = {}
    mean: dict[str, dict[str, float | None]] = {}
    std: dict[str, dict[str, float | None]] = {}
    problems: list[str] = []
    for name in plan.table.benchmarks:
        trial = plan.trials.get((number, name))
        if trial is None:  # the table's problems say why
            continue
        reports = trial.reports(plan.request.seeds)
        if reports:
            both = mean_and_std([report["seeds"][0]["metrics"] for report in reports.values()])
            seeds[name], mean[name], std[name] = tuple(reports), both["mean"], both["std"]
        problems += _failed(trial, plan.request.seeds, failures)
    for column in plan.table.columns:
        if "multiply_adds" in column.metrics:
            config = changed(plan.request.config(column.benchmark), dict(row.changes))
            mean.setdefault(column.benchmark, {})["multiply_adds"] = _fusion_cost(config)
    return Ours(seeds=seeds, mean=mean, std=std, problems=tuple(problems))


def single_seeds(plan: Plan) -> dict[int, dict[str, dict[int, Metrics]]]:
    """The metrics of single seeds, by bottleneck and benchmark: what figure 4 has as points."""
    found: dict[int, dict[str, dict[int, Metrics]]] = {}
    for (_, name), trial in plan.trials.items():
        reports = trial.reports(plan.request.seeds)
        found.setdefault(trial.config.bottleneck, {})[name] = {
            seed: report["seeds"][0]["metrics"] for seed, report in reports.items()
        }
    return found


def _counted(plan: Plan, split: str) -> Ours:
    """How many samples a split has; "all" is all three."""
    wanted = SPLITS if split == "all" else (split,)
    mean = {
        name: {"samples": float(sum(facts.splits.get(s, {}).get("samples", 0) for s in wanted))}
        for name, facts in plan.stores.items()
    }
    return Ours(seeds={}, mean=mean, std={})


def _failed(trial: Trial, seeds: int, failures: Mapping[Path, str]) -> list[str]:
    return [
        f"{benchmark(trial.benchmark).title}, seed {seed}: {failures[trial.run_folder(seed)]}"
        for seed in trial.seeds(seeds)
        if trial.run_folder(seed) in failures
    ]


def _fusion_cost(config: TrainConfig) -> float:
    """Multiply-adds of a configuration's fusion at CH-SIMS shapes."""
    form = benchmark("sims")
    network = NetworkConfig(
        text_encoder={},
        audio_dims=form.audio_dims,
        vision_dims=form.vision_dims,
        bottleneck=config.bottleneck,
        fusion_layers=config.fusion_layers,
        fusion=config.fusion,
        temporal_alignment=config.temporal_alignment,
    )
    return float(multiply_adds(network, text=SIMS_TEXT, audio=SIMS_AUDIO, vision=SIMS_VISION))


def _facts(plan: Plan) -> list[str]:
    """Lines that a reader needs beside the numbers."""
    lines = [_of_store(name, facts) for name, facts in plan.stores.items()]
    if any(row.changes is not None for row in plan.table.rows):
        lines += _of_settings(plan.request, plan.table.benchmarks)
        sizes = [f"{benchmark(name).title} {parameters(name):,}" for name in plan.table.benchmarks]
        lines.append(
            f"Parameters of the full model with BERT-base: {', '.join(sizes)}; the paper: "
            f"{_PARAMETERS_MOST}."
        )
    return lines


def _of_store(name: str, facts: StoreFacts) -> str:
    source = facts.source or {}
    title = benchmark(name).title
    if source.get("sha256_known"):
        return f"{title}: {facts.path}, made of the published file."
    made = f"of {source['file_name']}" if source else "by `extract`"
    return f"{title}: {facts.path}, made {made}, NOT of the published file."


def _of_settings(request: Request, names: tuple[str, ...]) -> list[str]:
    """What differs from the preset, which nobody may overlook."""
    presets = ", ".join(name + request.preset_suffix for name in names)
    lines = [f"Presets {presets}; seeds 1111 to {1110 + request.seeds}."]
    changes: dict[str, Any] = {}
    for name in names:
        before = read_preset(name + request.preset_suffix).to_dict()
        after = request.config(name).to_dict()
        changes |= {key: value for key, value in after.items() if value != before[key]}
    if changes:
        listed = ", ".join(f"{key} = {value}" for key, value in sorted(changes.items()))
        lines.append(f"NOT the paper's setting: {listed}.")
    return lines


def _origin(plan: Plan, reports: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> dict[str, Any]:
    """Where every number comes from: data, folders, machines and versions."""
    environments: list[Any] = []
    for of_trial in reports.values():
        for report in of_trial.values():
            if report["environment"] not in environments:
                environments.append(report["environment"])
    return {
        "data": {
            name: {"digest": facts.digest, "source": facts.source}
            for name, facts in plan.stores.items()
        },
        "runs": {folder: sorted(of_trial) for folder, of_trial in reports.items()},
        "environments": environments,
        "settings": dict(plan.request.settings),
    }

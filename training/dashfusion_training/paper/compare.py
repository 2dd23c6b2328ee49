"""From the finished trainings of a table to its comparison with the paper."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dashfusion_training.benchmarks import SPLITS, benchmark
from dashfusion_training.build import network_config
from dashfusion_training.config import TrainConfig, changed, read_preset
from dashfusion_training.paper.comparison import ComparedRow, Comparison, Metrics, Ours
from dashfusion_training.paper.operations import (
    SIMS_AUDIO,
    SIMS_TEXT,
    SIMS_VISION,
    multiply_adds,
    parameters,
)
from dashfusion_training.paper.plan import Plan
from dashfusion_training.paper.published import PaperRow
from dashfusion_training.paper.trials import Trial
from dashfusion_training.report import mean_and_std
from dashfusion_training.store_facts import StoreFacts
from dashfusion_training.train import FIRST_SEED

__all__ = ["compare", "single_seeds"]

Report = Mapping[str, Any]

_PARAMETERS_MOST = "under 120 million"  # the paper's own words on the size of its model


def compare(plan: Plan, failures: Mapping[Path, str]) -> Comparison:
    """Put what is finished beside the paper's table; `failures` are known by the run's folder."""
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
        departures=tuple(_departures(plan)),
        facts=(*_facts(plan), *_machines(reports)),
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
        shown = {m for c in plan.table.columns if c.benchmark == name for m in c.metrics}
        problems += _failed(trial, plan.request.seeds, failures)
        problems += _undefined(trial, reports, shown)
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
    network = network_config(
        config, text_encoder={}, audio_dims=form.audio_dims, vision_dims=form.vision_dims
    )
    return float(multiply_adds(network, text=SIMS_TEXT, audio=SIMS_AUDIO, vision=SIMS_VISION))


def _undefined(trial: Trial, reports: Mapping[int, Report], metrics: set[str]) -> list[str]:
    """Metrics that some seeds have no value of, as the correlation of constant scores."""
    return [
        f"{benchmark(trial.benchmark).title}, seed {seed}: {metric} is not defined for its scores"
        for seed, report in reports.items()
        for metric, value in report["seeds"][0]["metrics"].items()
        if value is None and metric in metrics
    ]


def _departures(plan: Plan) -> list[str]:
    """In what our trainings are not the paper's, which nobody may overlook."""
    lines = [
        f"{benchmark(name).title} is not the published file, but {_made_of(facts)}."
        for name, facts in plan.stores.items()
        if name not in plan.problems and not (facts.source or {}).get("sha256_known")
    ]
    changes: dict[str, Any] = {}
    if plan.table.needs_training:
        for name in plan.table.benchmarks:
            before = read_preset(name).to_dict()
            after = plan.request.config(name).to_dict()
            changes |= {key: value for key, value in after.items() if value != before[key]}
    if changes:
        listed = ", ".join(f"{key} = {value}" for key, value in sorted(changes.items()))
        lines.append(f"Settings that are not those of the paper's preset: {listed}.")
    return lines


def _made_of(facts: StoreFacts) -> str:
    """Where a store comes from, in words."""
    if not facts.source:
        return f"{facts.path}, made by `extract`"
    return f"{facts.path}, made of {facts.source['file_name']} (SHA-256 {facts.source['sha256']})"


def _facts(plan: Plan) -> list[str]:
    """Lines that a reader needs beside the numbers."""
    if not plan.table.needs_training:
        return []
    names, suffix = plan.table.benchmarks, plan.request.preset_suffix
    presets = ", ".join(name + suffix for name in names)
    sizes = [f"{benchmark(name).title} {parameters(name):,}" for name in names]
    return [
        f"Presets {presets}; seeds {FIRST_SEED} to {FIRST_SEED + plan.request.seeds - 1}.",
        f"Parameters of the preset's full model with BERT-base: {', '.join(sizes)}; the paper: "
        f"{_PARAMETERS_MOST}.",
    ]


def _machines(reports: Mapping[str, Mapping[int, Report]]) -> list[str]:
    """On what was trained; more than one line where that was not the same for all."""
    return sorted(
        {
            f"Trained on {env['device_name'] or env['device']} with torch "
            f"{env['packages']['torch']}, dashfusion {env['packages']['dashfusion']}"
            + (f", commit {env['git']['commit'][:12]}" if env["git"] else "")
            + (" with changes." if env["git"] and env["git"]["changed"] else ".")
            for of_trial in reports.values()
            for env in (report["environment"] for report in of_trial.values())
        }
    )


def _origin(plan: Plan, reports: Mapping[str, Mapping[int, Report]]) -> dict[str, Any]:
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

"""report.json of a training: what came out, and everything needed to get it again."""

from __future__ import annotations

import json
import platform
import shutil
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from dashfusion_models.bounded_file import read_json
from dashfusion_training.config import TrainConfig
from dashfusion_training.files import write_whole
from dashfusion_training.run import Position

__all__ = ["Trained", "environment", "join_reports", "mean_and_std", "read_report", "write_report"]

SCHEMA = "dashfusion/training/1"
PACKAGES = ("dashfusion", "torch", "transformers", "librosa", "mediapipe", "numpy")

Metrics = Mapping[str, float | None]


@dataclass(frozen=True)
class Trained:
    """A finished training: its settings, where it ended, and the metrics of each test split."""

    config: TrainConfig
    at: Position
    test: Mapping[str, Metrics]

    @property
    def metrics(self) -> Metrics:
        """Those of the first data set that has a test split."""
        return next(iter(self.test.values()), {})


def write_report(
    folder: Path, trained: Sequence[Trained], data: Mapping[str, Any], device: torch.device
) -> None:
    """Write `folder`/report.json on one seed or several; the settings are those of the first."""
    report = {
        "schema": SCHEMA,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "config": trained[0].config.to_dict(),
        "data": dict(data),
        "seeds": [_of_seed(one) for one in trained],
        **mean_and_std([one.metrics for one in trained]),
        "environment": environment(device),
    }
    _write(folder, report)


def read_report(folder: Path) -> dict[str, Any] | None:
    """What `write_report` wrote into `folder`.

    None where no training has ended, or where the report is damaged: going on writes it again.
    """
    try:
        report = read_json(folder / "report.json")
        whole = (
            report["schema"] == SCHEMA
            and {"finished", "environment", "config"} <= report.keys()
            and all(seed["metrics"] for seed in report["seeds"])
            and bool(report["seeds"])
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return dict(report) if whole else None


def join_reports(folder: Path, reports: Sequence[Mapping[str, Any]]) -> None:
    """Write one report on several seeds that were trained by themselves."""
    seeds = [seed for report in reports for seed in report["seeds"]]
    joined = {
        **reports[0],
        "finished": max(report["finished"] for report in reports),
        "seeds": seeds,
        **mean_and_std([seed["metrics"] for seed in seeds]),
    }
    _write(folder, joined)


def _write(folder: Path, report: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "report.json", json.dumps(report, indent=1, allow_nan=False))


def environment(device: torch.device) -> dict[str, Any]:
    """The machine, the packages and the state of the source that ran."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "threads": torch.get_num_threads(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "git": _git(Path(__file__).parent),
    }


def _of_seed(one: Trained) -> dict[str, Any]:
    return {
        "seed": one.config.seed,
        "metrics": dict(one.metrics),
        "test": {name: dict(metrics) for name, metrics in one.test.items()},
        "best_epoch": one.at.best_epoch,
        "best_valid_mae": one.at.best_mae,
        "steps": one.at.step,
        "seconds": round(one.at.seconds, 1),
    }


def mean_and_std(metrics: Sequence[Metrics]) -> dict[str, dict[str, float | None]]:
    """Mean and standard deviation (n - 1); None where a seed has no value, or there is one seed."""
    mean: dict[str, float | None] = {}
    std: dict[str, float | None] = {}
    for name in metrics[0]:
        values = [m[name] for m in metrics]
        known = [value for value in values if value is not None]
        whole = len(known) == len(values)
        mean[name] = statistics.fmean(known) if whole else None
        std[name] = statistics.stdev(known) if whole and len(known) > 1 else None
    return {"mean": mean, "std": std}


def _git(folder: Path) -> dict[str, Any] | None:
    """The commit that the package lies in, and whether it was changed; None outside of git."""
    git = shutil.which("git")
    if git is None:
        return None

    def ask(*words: str) -> str | None:
        done = subprocess.run(
            [git, "-C", str(folder), *words], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else None

    # An installed package may lie inside a repository that is not ours and ignores it.
    if ask("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None
    return {"commit": ask("rev-parse", "HEAD"), "changed": bool(ask("status", "--porcelain"))}

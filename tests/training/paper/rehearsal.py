"""Everything that the paper's tables need, small: planted benchmarks and quick settings."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from dashfusion_training.benchmarks import BENCHMARKS
from dashfusion_training.official.prepare import prepare
from dashfusion_training.paper.plan import Request
from dashfusion_training.paper.published import PAPER
from tests.training.official.form import Kind, write_encoder, write_official_file

__all__ = ["CPU", "SEEDS", "request_of", "write_rehearsal"]

CPU = torch.device("cpu")
SEEDS = 2
SETTINGS = {
    "epochs": "2",
    "warmup_epochs": "1",
    "encoder_layers": "1",
    "learning_rate": "1e-3",
    "batch_size": "8",
}


def write_rehearsal(folder: Path, counts: Mapping[str, int], *, kind: Kind, seed: int = 1) -> Path:
    """Write `folder`/data with the stores mosi, mosei and sims, and `folder`/encoder.

    Every benchmark has `counts` samples a split; the official files are prepared and removed.
    Returns the folder of the stores.
    """
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    write_encoder(folder / "encoder")
    for name, form in BENCHMARKS.items():
        if not (data / name).exists():
            file = write_official_file(folder / f"{name}.pkl", name, counts, seed=seed, kind=kind)
            prepare(form, file, data / name, lambda progress: None)
            file.unlink()
    return data


def request_of(place: Path, table: str, **changes: Any) -> Request:
    """Ask for a table of the stores below `place`, with settings that train in seconds."""
    settings = SETTINGS | {"text_encoder": str(place / "encoder")}
    request = Request(
        table=PAPER[table],
        data_root=place / "data",
        output=place / "out",
        seeds=SEEDS,
        settings=settings | changes.pop("settings", {}),
    )
    return replace(request, **changes)
